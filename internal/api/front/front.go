// Package front serves the pages that Gatehouse shows itself, embedded in the
// binary: what this is, the first administrator's set-up, the confirmation of
// an address, and the API reference. Pages carry a content security policy
// with a fresh nonce and run nothing but the first-party files under /assets/
// (TLS-1); nothing comes from elsewhere. A page that takes a token reads it
// from the fragment and sends it by POST, so that no server, log or proxy sees
// it in a URL, and opening a link changes nothing (TOK-12, CK-6).
package front

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
)

//go:embed pages assets
var files embed.FS

// Config says what the pages show.
type Config struct {
	Version string // of the program
}

// page is one HTML page. Its content is pages/Name.html, its code assets/Name.js.
type page struct {
	Path, Name, Title string
}

func pages() []page {
	return []page{
		{Path: "/", Name: "home", Title: "Gatehouse"},
		{Path: "/setup", Name: "setup", Title: "Set up Gatehouse"},
		{Path: "/verify-email", Name: "verify-email", Title: "Confirm your address"},
		{Path: "/docs", Name: "docs", Title: "API reference"},
	}
}

// AssetPath is the pattern under which Handler serves scripts and styles.
const AssetPath = "/assets/{version}/{name}"

// Paths returns every path that Handler answers to, in the notation of
// http.ServeMux but for "/", which is only itself.
func Paths() []string {
	paths := []string{AssetPath}
	for _, p := range pages() {
		paths = append(paths, p.Path)
	}
	return paths
}

// Handler serves the pages and their assets to GET and HEAD. It sets the
// headers that are particular to pages; those of every reply are the caller's.
func Handler(c Config) http.Handler {
	assets := loadAssets()
	mux := http.NewServeMux()
	mux.Handle("GET "+AssetPath, assets)
	layout := template.Must(template.ParseFS(files, "pages/layout.html"))
	for _, p := range pages() {
		t := template.Must(template.Must(layout.Clone()).ParseFS(files, "pages/"+p.Name+".html"))
		pattern := "GET " + p.Path
		if p.Path == "/" {
			pattern = "GET /{$}"
		}
		mux.Handle(pattern, &pageHandler{page: p, template: t, assets: assets.version, version: c.Version})
	}
	return mux
}

type pageHandler struct {
	page
	template *template.Template
	assets   string
	version  string
}

func (h *pageHandler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	nonce := rand.Text()
	var b bytes.Buffer
	err := h.template.Execute(&b, map[string]string{
		"Title": h.Title, "Name": h.Name, "Nonce": nonce, "Assets": "/assets/" + h.assets, "Version": h.version,
	})
	if err != nil {
		panic("front: page " + h.Name + ": " + err.Error()) // only for a template that no test has run
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	header.Set("Cache-Control", "no-store") // a nonce serves once
	header.Set("Content-Security-Policy", policy(nonce))
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	_, _ = w.Write(b.Bytes()) // a client that left cannot be told
}

// policy allows what carries the nonce, calls to this origin, and no text that
// becomes markup or code.
func policy(nonce string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce + "'; " +
		"img-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; " +
		"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// assets are the files under /assets/. Their path holds a hash of them all, so
// that a browser keeps them for good and modules import each other by relative
// names.
type assets struct {
	version string
	files   map[string]asset
}

type asset struct {
	contentType string
	content     []byte
}

func loadAssets() *assets {
	a := &assets{files: map[string]asset{}}
	sum := sha256.New()
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic("front: assets: " + err.Error()) // they are part of the binary
	}
	for _, e := range entries {
		content, err := files.ReadFile("assets/" + e.Name())
		if err != nil {
			panic("front: assets: " + err.Error())
		}
		sum.Write([]byte(e.Name() + "\x00" + strconv.Itoa(len(content)) + "\x00"))
		sum.Write(content)
		a.files[e.Name()] = asset{contentType: contentType(e.Name()), content: content}
	}
	a.version = hex.EncodeToString(sum.Sum(nil)[:8])
	return a
}

// contentType knows the few types there are; the host's table may not.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", file.contentType)
	header.Set("Content-Length", strconv.Itoa(len(file.content)))
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	// During an upgrade a page of another release may ask this node: it gets
	// what there is, and keeps nothing.
	if r.PathValue("version") != a.version {
		header.Set("Cache-Control", "no-store")
	}
	_, _ = w.Write(file.content) // a client that left cannot be told
}
