package api

import (
	"encoding/base64"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/errs"
)

// Listing is the paging of a list: as an embedded struct or field of an input
// it reads `limit`, `cursor` and `include_total`. A cursor is sealed, and bound
// to the path and to every other parameter of the query, so that it is refused
// after a change of sort or filter.
type Listing struct {
	Limit        int    `query:"limit" min:"1" max:"200" default:"50" doc:"Items on a page"`
	Cursor       string `query:"cursor" doc:"The next_cursor of the page before; opaque"`
	IncludeTotal bool   `query:"include_total" doc:"Also count all that match"`

	keys Keys
	base string // the public URL
	path string
	rest url.Values // the query without the paging
}

// Page is the body of a list.
type Page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"`
	Total      *int64  `json:"total,omitempty"`
}

// PageOutput is the output of a list.
type PageOutput[T any] struct {
	Link string `header:"Link"`
	Body Page[T]
}

// After reads where the page before ended into position, which is what
// NewPage was given there. It reports false on the first page.
func (l *Listing) After(position any) (bool, error) {
	if l.Cursor == "" {
		return false, nil
	}
	err := l.open(position)
	if err != nil {
		return false, errs.InvalidField("cursor", "invalid", "Is not a cursor of this list.").With(err)
	}
	return true, nil
}

func (l *Listing) open(position any) error {
	keyID, text, _ := strings.Cut(l.Cursor, ".")
	key, err := l.keys.ByID(keyring.Cursor, keyID)
	if err != nil {
		return err
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return err
	}
	plain, err := key.Open(sealed, l.binding())
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, position)
}

// NewPage returns a page. Next is the position of its last item if there are
// more, otherwise nil; it must survive JSON. Total is nil unless asked for.
func NewPage[T any](l *Listing, items []T, next any, total *int64) (*PageOutput[T], error) {
	out := &PageOutput[T]{Body: Page[T]{Items: items, Total: total}}
	if next == nil {
		return out, nil
	}
	plain, err := json.Marshal(next)
	if err != nil {
		return nil, err
	}
	key, err := l.keys.Current(keyring.Cursor)
	if err != nil {
		return nil, err
	}
	cursor := key.ID + "." + base64.RawURLEncoding.EncodeToString(key.Key.Seal(plain, l.binding()))
	out.Body.NextCursor = &cursor
	out.Link = l.link(cursor)
	return out, nil
}

// binding names the list: its path, filters and sort.
func (l *Listing) binding() []byte { return []byte("cursor\n" + l.path + "?" + l.rest.Encode()) }

// link is the Link header of a page (RFC 8288). The filters and the size of
// the page stay.
func (l *Listing) link(cursor string) string {
	q := url.Values{"cursor": {cursor}, "limit": {strconv.Itoa(l.Limit)}}
	maps.Copy(q, l.rest)
	if l.IncludeTotal {
		q.Set("include_total", "true")
	}
	return "<" + l.base + l.path + "?" + q.Encode() + `>; rel="next"`
}

// begin completes a listing that was read from the query.
func (l *Listing) begin(c *call, q url.Values) {
	l.keys, l.path = c.s.deps.Keys, c.r.URL.EscapedPath()
	l.base = c.s.base
	l.rest = url.Values{}
	for name, values := range q {
		if name != "limit" && name != "cursor" && name != "include_total" {
			l.rest[name] = values
		}
	}
}
