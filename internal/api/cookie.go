package api

import (
	"net/http"
	"time"

	"gatehouse/internal/platform/secret"
)

// The two cookies of a browser session (CK-1).
const (
	RefreshCookie = "__Host-refresh_token" // HttpOnly
	CSRFCookie    = "__Host-csrf_token"    // readable: its value goes into X-CSRF-Token
)

// SessionCookies returns the cookies that hand a session to a browser, for the
// life that remains to it.
func SessionCookies(refresh secret.String, csrf string, life time.Duration) []*http.Cookie {
	maxAge := max(int(life/time.Second), 1)
	r, c := hostCookie(RefreshCookie, refresh.Reveal(), maxAge), hostCookie(CSRFCookie, csrf, maxAge)
	r.HttpOnly = true
	return []*http.Cookie{r, c}
}

// ClearCookies returns the cookies that end a browser session. Logout also
// sends ClearSiteData.
func ClearCookies() []*http.Cookie {
	r, c := hostCookie(RefreshCookie, "", -1), hostCookie(CSRFCookie, "", -1)
	r.HttpOnly = true
	return []*http.Cookie{r, c}
}

// ClearSiteData is the value of the Clear-Site-Data header at logout (CK-8).
const ClearSiteData = `"cookies", "storage"`

// hostCookie makes a cookie that only this host may set and only over TLS.
func hostCookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, SameSite: http.SameSiteStrictMode,
	}
}

// cookieValue returns the value of the cookie, or "" when it is absent or sent
// more than once: then one of the two is not ours.
func cookieValue(r *http.Request, name string) string {
	if r.Header["Cookie"] == nil {
		return ""
	}
	if found := r.CookiesNamed(name); len(found) == 1 {
		return found[0].Value
	}
	return ""
}
