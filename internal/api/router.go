package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// resource is what stands at one path template.
type resource struct {
	template string
	methods  map[string]*endpoint
	allow    []string // the value of the Allow header
}

func (r *resource) add(e *endpoint) {
	r.methods[e.Method] = e
	if e.Method == http.MethodGet {
		r.methods[http.MethodHead] = e
	}
	methods := []string{http.MethodOptions}
	for m := range r.methods {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	r.allow = []string{strings.Join(methods, ", ")}
}

// router finds the resource of a path. http.ServeMux would redirect unclean
// paths and answer 404 and 405 by itself, without our headers and documents.
type router struct {
	static map[string]*resource // templates without a {name}, by path
	root   node
}

// node is one segment of the templates that have a {name}.
type node struct {
	plain    map[string]*node
	param    *node
	resource *resource
	rest     *resource // a template that ends with {name...}
}

// at returns the resource of a template, which it makes if needed.
func (t *router) at(template string) *resource {
	if t.static == nil {
		t.static = map[string]*resource{}
	}
	fresh := &resource{template: template, methods: map[string]*endpoint{}}
	if !strings.Contains(template, "{") {
		if t.static[template] == nil {
			t.static[template] = fresh
		}
		return t.static[template]
	}
	n := &t.root
	slot := func() **resource { return &n.resource }
	for segment := range strings.SplitSeq(template[1:], "/") {
		switch {
		case strings.HasSuffix(segment, "...}"):
			at := n
			slot = func() **resource { return &at.rest }
		case strings.HasPrefix(segment, "{"):
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
		default:
			if n.plain == nil {
				n.plain = map[string]*node{}
			}
			if n.plain[segment] == nil {
				n.plain[segment] = &node{}
			}
			n = n.plain[segment]
		}
	}
	if at := slot(); *at == nil {
		*at = fresh
	}
	return *slot()
}

// find returns the resource of a request and the values of the {names} in
// order, or nil. A plain segment goes before a name.
func (t *router) find(u *url.URL) (*resource, []string) {
	path := u.EscapedPath()
	if r := t.static[path]; r != nil {
		return r, nil
	}
	if path == "" || path[0] != '/' {
		return nil, nil
	}
	return t.root.find(path[1:], nil)
}

func (n *node) find(path string, values []string) (*resource, []string) {
	segment, rest, more := strings.Cut(path, "/")
	for _, next := range []*node{n.plain[segment], n.param} {
		if next == nil {
			continue
		}
		found := values
		if next == n.param {
			v, err := url.PathUnescape(segment)
			if err != nil || v == "" || !utf8.ValidString(v) || hasControl(v) {
				continue
			}
			found = append(slices.Clip(values), v)
		}
		switch {
		case more:
			if r, vs := next.find(rest, found); r != nil {
				return r, vs
			}
		case next.resource != nil:
			return next.resource, found
		}
	}
	if n.rest != nil {
		if v, err := url.PathUnescape(path); err == nil {
			return n.rest, append(values, v)
		}
	}
	return nil, nil
}
