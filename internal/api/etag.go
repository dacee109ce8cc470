package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// ETag returns the strong entity tag of a version of a resource.
func ETag(id fmt.Stringer, version int64) string {
	return `"` + id.String() + "." + strconv.FormatInt(version, 10) + `"`
}

// IfMatch is the If-Match header of a request. As the type of an input's field
// it needs no tag.
type IfMatch struct{ values []string }

// Version returns which version of the resource the client means to change, or
// nil if any. It returns ErrPreconditionFailed if no tag sent can be one of
// this resource. The caller compares the version in the statement that writes.
func (m IfMatch) Version(id fmt.Stringer) (*int64, error) {
	if len(m.values) == 0 {
		return nil, nil
	}
	newest := int64(-1)
	prefix := `"` + id.String() + "."
	for _, tag := range tags(m.values) {
		if tag == "*" {
			return nil, nil
		}
		number, ok := strings.CutPrefix(tag, prefix)
		if !ok {
			continue
		}
		// Versions only grow: of several tags only the newest can be current.
		if v, err := strconv.ParseInt(strings.TrimSuffix(number, `"`), 10, 64); err == nil {
			newest = max(newest, v)
		}
	}
	if newest < 0 {
		return nil, ErrPreconditionFailed
	}
	return &newest, nil
}

// tags splits the lists of entity tags. Our tags hold no comma.
func tags(values []string) []string {
	var out []string
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			out = append(out, strings.TrimSpace(tag))
		}
	}
	return out
}

// notModified reports whether a GET may be answered with 304 (RFC 9110, 13.1.2).
func notModified(r *http.Request, etag string) bool {
	values := r.Header["If-None-Match"]
	if len(values) == 0 || etag == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, tag := range tags(values) {
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
