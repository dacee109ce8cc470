package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/platform/errs"
)

// input reads a request into a struct. It is compiled once, at registration.
type input struct {
	path    []param // in the order of the template
	query   []param
	headers []param
	cookies []param

	body         *schema // nil: none
	bodyIndex    []int
	bodyPointer  bool // may be missing
	listing      []int
	ifMatch      []int
	tally        []int
	noParameters bool
}

// param is one value outside of the body.
type param struct {
	name     string
	index    []int
	schema   *schema
	required bool
	fallback string
}

// inputOf compiles the input of a route.
func inputOf[I any](r Route) *input {
	t := reflect.TypeFor[I]()
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("api: route %q: input %v is no struct", r, t))
	}
	in := &input{}
	in.gather(t, nil, r)
	in.order(r)
	if in.body == nil {
		in.body = schemaOf(reflect.TypeFor[None](), "") // so that a body is not ignored
	}
	in.noParameters = len(in.query)+len(in.headers)+len(in.cookies)+len(in.path) == 0
	return in
}

func (in *input) gather(t reflect.Type, index []int, r Route) {
	for f := range structFields(t) {
		at := append(slices.Clip(index), f.Index...)
		switch f.Type {
		case reflect.TypeFor[Listing]():
			in.listing = at
			in.gather(f.Type, at, r)
			continue
		case reflect.TypeFor[IfMatch]():
			in.ifMatch = at
			continue
		case reflect.TypeFor[Tally]():
			in.tally = at
			continue
		}
		switch {
		case !f.IsExported() && !f.Anonymous:
			continue
		case f.Name == "Body":
			in.bodyIndex, in.bodyPointer = at, f.Type.Kind() == reflect.Pointer
			in.body = schemaOf(f.Type, f.Tag)
		case f.Tag.Get("path") != "":
			in.path = append(in.path, paramOf(f, "path", at))
		case f.Tag.Get("query") != "":
			in.query = append(in.query, paramOf(f, "query", at))
		case f.Tag.Get("header") != "":
			in.headers = append(in.headers, paramOf(f, "header", at))
		case f.Tag.Get("cookie") != "":
			in.cookies = append(in.cookies, paramOf(f, "cookie", at))
		case f.Anonymous:
			in.gather(f.Type, at, r)
		default:
			panic(fmt.Sprintf("api: route %q: field %s of the input comes from nowhere: tag it path, query, header or cookie", r, f.Name))
		}
	}
}

func paramOf(f reflect.StructField, tag string, index []int) param {
	p := param{
		name: f.Tag.Get(tag), index: index, schema: schemaOf(f.Type, f.Tag),
		required: f.Tag.Get("required") == "true", fallback: f.Tag.Get("default"),
	}
	if tag == "header" {
		p.name = http.CanonicalHeaderKey(p.name)
	}
	switch p.schema.form {
	case formString, formText, formBool, formInt:
	default:
		panic(fmt.Sprintf("api: parameter %s of type %v: only strings, ids, times, integers and booleans are read outside of a body", p.name, f.Type))
	}
	return p
}

// order brings the path parameters into the order of the template, and panics
// unless they are the same.
func (in *input) order(r Route) {
	var ordered []param
	for segment := range strings.SplitSeq(r.Path, "/") {
		if !strings.HasPrefix(segment, "{") {
			continue
		}
		name := strings.TrimSuffix(strings.Trim(segment, "{}"), "...")
		i := slices.IndexFunc(in.path, func(p param) bool { return p.name == name })
		if i < 0 {
			panic(fmt.Sprintf("api: route %q: the input has no field for {%s}", r, name))
		}
		ordered = append(ordered, in.path[i])
	}
	if len(ordered) != len(in.path) {
		panic(fmt.Sprintf("api: route %q: the input has a path field that the template lacks", r))
	}
	in.path = ordered
}

// read fills v, a pointer to the input.
func (in *input) read(c *call, v any) error {
	dst := reflect.ValueOf(v).Elem()
	if !in.noParameters || c.r.URL.RawQuery != "" {
		if err := in.readParams(c, dst); err != nil {
			return err
		}
	}
	if in.ifMatch != nil {
		dst.FieldByIndex(in.ifMatch).Set(reflect.ValueOf(IfMatch{values: c.r.Header["If-Match"]}))
	}
	if in.tally != nil {
		dst.FieldByIndex(in.tally).Set(reflect.ValueOf(Tally{c}))
	}
	return in.readBody(c, dst)
}

func (in *input) readParams(c *call, dst reflect.Value) error {
	for i, p := range in.path {
		if p.put(dst, c.params[i]) != nil {
			return ErrNotFound // an id that cannot be is one that is not (RBAC-2)
		}
	}
	values, faults := parseQuery(c.r.URL.RawQuery, in.query)
	for _, p := range in.query {
		v, ok := values[p.name]
		faults = p.read(dst, v, ok, faults)
	}
	for _, p := range in.headers {
		v, ok := c.r.Header[p.name]
		faults = p.read(dst, v, ok, faults)
	}
	for _, p := range in.cookies {
		if v := cookieValue(c.r, p.name); v != "" {
			faults = p.read(dst, []string{v}, true, faults)
		}
	}
	if len(faults) > 0 {
		return errs.InvalidFields(faults[:min(len(faults), maxFaults)]...)
	}
	if in.listing != nil {
		dst.FieldByIndex(in.listing).Addr().Interface().(*Listing).begin(c, values)
	}
	return nil
}

// read puts the value of a parameter, its default or nothing into dst.
func (p *param) read(dst reflect.Value, values []string, sent bool, faults []errs.Field) []errs.Field {
	var f *fault
	switch {
	case !sent && p.required:
		f = faultf("required", "Is required.")
	case !sent && p.fallback == "":
		return faults
	case !sent:
		f = p.put(dst, p.fallback)
	case len(values) != 1:
		f = faultf("repeated", "Must be given once.")
	default:
		f = p.put(dst, values[0])
	}
	if f != nil {
		faults = append(faults, errs.Field{Field: p.name, Code: f.code, Message: f.message})
	}
	return faults
}

func (p *param) put(dst reflect.Value, s string) *fault {
	n := p.schema
	at := dst.FieldByIndex(p.index)
	if n.optional {
		at = at.Addr().Interface().(optional).set()
	}
	if n.pointer {
		at.Set(reflect.New(n.typ))
		at = at.Elem()
	}
	switch n.form {
	case formInt:
		return n.setInt(at, s)
	case formBool:
		if s != "true" && s != "false" {
			return faultf("type", "Must be true or false.")
		}
		at.SetBool(s == "true")
		return nil
	default:
		if !utf8.ValidString(s) {
			return faultf("encoding", "Must be UTF-8.")
		}
		return n.setText(at, s)
	}
}

// parseQuery splits a query. Unlike url.ParseQuery it reports everything that
// is odd: unknown names, repeated ones, broken escapes and broken UTF-8.
func parseQuery(raw string, known []param) (url.Values, []errs.Field) {
	values := url.Values{}
	var faults []errs.Field
	refuse := func(name, code, message string) {
		faults = append(faults, errs.Field{Field: printable(name), Code: code, Message: message})
	}
	for raw != "" && len(faults) < maxFaults {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		value, err2 := url.QueryUnescape(value)
		switch {
		case err != nil || !utf8.ValidString(name):
			refuse("query", "encoding", "Has a name that is not valid.")
		case !slices.ContainsFunc(known, func(p param) bool { return p.name == name }):
			refuse(name, "unknown", "Is not a parameter of this endpoint.")
		case values[name] != nil:
			refuse(name, "repeated", "Must be given once.")
		case err2 != nil || !utf8.ValidString(value):
			refuse(name, "encoding", "Must be UTF-8, escaped as in a URL.")
		default:
			values[name] = []string{value}
		}
	}
	return values, faults
}

// readBody decodes the body, if there is or must be one.
func (in *input) readBody(c *call, dst reflect.Value) error {
	var body []byte
	if c.r.ContentLength != 0 && c.r.Body != http.NoBody {
		var err error
		if body, err = c.readAll(); err != nil {
			return err
		}
	}
	switch {
	case in.bodyIndex == nil && len(body) == 0, in.bodyPointer && len(body) == 0:
		return nil
	case in.bodyIndex == nil:
		return decodeJSON(body, in.body, reflect.ValueOf(new(None)).Elem())
	case len(body) == 0 && c.r.ContentLength == 0:
		return errMalformed.With(io.ErrUnexpectedEOF)
	}
	return decodeJSON(body, in.body, dst.FieldByIndex(in.bodyIndex))
}

// readAll reads the body up to the limit of the route.
func (c *call) readAll() ([]byte, error) {
	limited := http.MaxBytesReader(c.ResponseWriter, c.r.Body, c.e.MaxBody)
	body := make([]byte, 0, max(c.r.ContentLength, 512)+1)
	for {
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, errTooLarge
		}
		if err != nil {
			return nil, errMalformed.With(err)
		}
		if len(body) == cap(body) {
			body = slices.Grow(body, len(body))
		}
	}
}
