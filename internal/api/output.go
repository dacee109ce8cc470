package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Stream is an output that is written as it is made. Write is called after the
// header is out, so its error can only cut the reply short.
type Stream struct {
	ContentType string
	Write       func(w io.Writer) error
}

// writeTimeout is how long a reader of a stream may stand still.
const writeTimeout = 30 * time.Second

// maxPooled is the largest buffer that is kept for the next reply.
const maxPooled = 256 << 10

// output writes a struct as a reply. It is compiled once, at registration.
type output struct {
	status  int
	headers []outHeader
	set     []int // of Status
	cookies []int
	body    []int
	schema  *schema
	stream  []int
	options json.Options
}

type outHeader struct {
	name  string
	index []int
}

// outputOf compiles the output of a route.
func outputOf[O any](r Route) *output {
	t := reflect.TypeFor[O]()
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("api: route %q: output %v is no struct", r, t))
	}
	out := &output{options: json.JoinOptions(jsontext.EscapeForHTML(true), json.Deterministic(true))}
	for f := range structFields(t) {
		switch {
		case f.Name == "Body":
			out.body, out.schema = f.Index, schemaOf(f.Type, f.Tag)
		case f.Name == "Status" && f.Type.Kind() == reflect.Int:
			out.set = f.Index
		case f.Name == "Stream" && f.Type == reflect.TypeFor[*Stream]():
			out.stream = f.Index
		case f.Name == "Cookies" && f.Type == reflect.TypeFor[[]*http.Cookie]():
			out.cookies = f.Index
		case f.Tag.Get("header") != "" && f.Type.Kind() == reflect.String:
			out.headers = append(out.headers, outHeader{http.CanonicalHeaderKey(f.Tag.Get("header")), f.Index})
		default:
			panic(fmt.Sprintf("api: route %q: field %s of the output goes nowhere", r, f.Name))
		}
	}
	switch {
	case r.Status != 0:
		out.status = r.Status
	case out.body == nil && out.stream == nil:
		out.status = http.StatusNoContent
	default:
		out.status = http.StatusOK
	}
	return out
}

// write sends o, a pointer to the output, which may be nil.
func (out *output) write(c *call, o any) error {
	v := reflect.ValueOf(o).Elem() // invalid when o is a nil pointer
	status := out.status
	h := c.Header()
	if c.e.CacheControl != "" {
		h["Cache-Control"] = []string{c.e.CacheControl}
	}
	if !v.IsValid() {
		c.WriteHeader(status)
		return nil
	}
	for i := range out.headers {
		if value := v.FieldByIndex(out.headers[i].index).String(); value != "" {
			h[out.headers[i].name] = []string{value}
		}
	}
	if out.cookies != nil {
		for _, cookie := range v.FieldByIndex(out.cookies).Interface().([]*http.Cookie) {
			http.SetCookie(c, cookie)
		}
	}
	if out.set != nil {
		if s := v.FieldByIndex(out.set).Int(); s != 0 {
			status = int(s)
		}
	}
	if tag := h["Etag"]; tag != nil && notModified(c.r, tag[0]) {
		c.WriteHeader(http.StatusNotModified)
		return nil
	}
	if out.stream != nil {
		if s := v.FieldByIndex(out.stream).Interface().(*Stream); s != nil {
			return c.stream(s, status)
		}
	}
	if out.body == nil || status == http.StatusNoContent {
		c.WriteHeader(status)
		return nil
	}
	return c.json(v.FieldByIndex(out.body).Addr().Interface(), status, out.options)
}

// json makes the whole reply before its header goes out, so that one that
// cannot be made is still a 500.
func (c *call) json(body any, status int, options json.Options) error {
	buf := c.s.buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooled {
			buf.Reset()
			c.s.buffers.Put(buf)
		}
	}()
	if err := json.MarshalWrite(buf, body, options); err != nil {
		return fmt.Errorf("encode reply: %w", err)
	}
	h := c.Header()
	h["Content-Type"] = c.s.jsonType
	h["Content-Length"] = []string{strconv.Itoa(buf.Len())}
	if c.e.Unbounded { // it may have taken longer than a reply may
		_ = http.NewResponseController(c).SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	c.WriteHeader(status)
	_, _ = c.Write(buf.Bytes()) // a client that left cannot be told
	return nil
}

func (c *call) stream(s *Stream, status int) error {
	c.Header()["Content-Type"] = []string{s.ContentType}
	c.WriteHeader(status)
	if err := s.Write(&progress{c: c, rc: http.NewResponseController(c)}); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	return nil
}

// progress moves the write limit on while the reader keeps reading.
type progress struct {
	c  *call
	rc *http.ResponseController
}

func (p *progress) Write(b []byte) (int, error) {
	// A connection without deadlines, as in a test, is no reason to stop.
	_ = p.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	return p.c.Write(b)
}
