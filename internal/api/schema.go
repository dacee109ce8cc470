package api

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// form is the shape of a value in JSON.
type form uint8

const (
	formAny    form = iota // any JSON
	formString             // also of named types such as secret.String
	formText               // reads itself from a string: ids, times
	formBool
	formInt
	formFloat
	formObject
	formArray
	formMap
)

const (
	defaultMaxItems = 100
	maxDepth        = 32
)

// schema is a Go type compiled once: the decoder, the reader of queries and
// the OpenAPI document all follow it, so they cannot disagree.
type schema struct {
	typ      reflect.Type // without pointers and Optional
	form     form
	pointer  bool // null is allowed
	optional bool // an Optional
	elem     *schema
	fields   []field
	byName   map[string]int

	minLen, maxLen int // in code points; maxLen 0: no limit
	min, max       *int64
	maxItems       int
	enum           []string
	pattern        *regexp.Regexp
	format         string
	doc            string
}

// field is a member of an object.
type field struct {
	name     string
	index    []int
	required bool // in a request
	omitted  bool // may be missing in a response
	schema   *schema
}

// schemaOf compiles a type. It panics on a type that has no JSON form: that is
// a mistake in a route's input or output.
func schemaOf(t reflect.Type, tag reflect.StructTag) *schema {
	return compile(t, tag, 0)
}

func compile(t reflect.Type, tag reflect.StructTag, depth int) *schema {
	if depth > maxDepth {
		panic(fmt.Sprintf("api: %v nests too deep or contains itself", t))
	}
	n := &schema{}
	if v, ok := reflect.New(t).Interface().(optional); ok {
		n.optional = true
		t = v.set().Type()
	}
	if t.Kind() == reflect.Pointer {
		n.pointer = true
		t = t.Elem()
	}
	n.typ = t
	n.constrain(tag)
	switch {
	case t == reflect.TypeFor[jsontext.Value](), t.Kind() == reflect.Interface:
		n.form = formAny
	case isText(t):
		n.form = formText
	case t.Kind() == reflect.String:
		n.form = formString
	case t.Kind() == reflect.Bool:
		n.form = formBool
	case isInt(t.Kind()):
		n.form = formInt
	case t.Kind() == reflect.Float64:
		n.form = formFloat
	case t.Kind() == reflect.Struct:
		n.form = formObject
		n.object(t, nil, depth)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		n.form = formArray
		n.elem = compile(t.Elem(), elemTag(tag), depth+1)
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		n.form = formMap
		n.elem = compile(t.Elem(), elemTag(tag), depth+1)
	default:
		panic(fmt.Sprintf("api: %v has no JSON form that the adapter knows", t))
	}
	return n
}

// elemTag leaves of a list's tag what speaks of its elements.
func elemTag(tag reflect.StructTag) reflect.StructTag {
	var kept []string
	for _, name := range []string{"minLength", "maxLength", "enum", "pattern", "format"} {
		if v, ok := tag.Lookup(name); ok {
			kept = append(kept, name+":"+strconv.Quote(v))
		}
	}
	return reflect.StructTag(strings.Join(kept, " "))
}

// isText reports whether values of t write and read themselves as strings.
// A secret.String writes itself as redacted and reads as plain text.
func isText(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() {
		return true
	}
	_, reads := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	_, writes := reflect.New(t).Interface().(encoding.TextMarshaler)
	return reads || writes && t.Kind() != reflect.String
}

func isInt(k reflect.Kind) bool {
	return k >= reflect.Int && k <= reflect.Int64 || k >= reflect.Uint && k <= reflect.Uint32
}

// object gathers the members of a struct as package json does: embedded
// structs count as their members.
func (n *schema) object(t reflect.Type, index []int, depth int) {
	for f := range structFields(t) {
		at := append(slices.Clip(index), f.Index...)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "":
			n.object(f.Type, at, depth)
			continue
		case name == "":
			panic(fmt.Sprintf("api: field %v.%s has no json name", t, f.Name))
		}
		if n.byName == nil {
			n.byName = map[string]int{}
		}
		s := compile(f.Type, f.Tag, depth+1)
		omitted := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		n.byName[name] = len(n.fields)
		n.fields = append(n.fields, field{
			name: name, index: at, schema: s,
			required: !omitted && !s.pointer && !s.optional, omitted: omitted,
		})
	}
}

func structFields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// constrain reads the tags that limit a value.
func (n *schema) constrain(tag reflect.StructTag) {
	n.minLen, n.maxLen = tagInt(tag, "minLength", 0), tagInt(tag, "maxLength", 0)
	n.maxItems = tagInt(tag, "maxItems", defaultMaxItems)
	if _, ok := tag.Lookup("min"); ok {
		v := int64(tagInt(tag, "min", 0))
		n.min = &v
	}
	if _, ok := tag.Lookup("max"); ok {
		v := int64(tagInt(tag, "max", 0))
		n.max = &v
	}
	if v := tag.Get("enum"); v != "" {
		n.enum = strings.Split(v, ",")
	}
	if v := tag.Get("pattern"); v != "" {
		n.pattern = regexp.MustCompile(v)
	}
	n.format, n.doc = tag.Get("format"), tag.Get("doc")
}

func tagInt(tag reflect.StructTag, name string, otherwise int) int {
	v, ok := tag.Lookup(name)
	if !ok {
		return otherwise
	}
	i, err := strconv.Atoi(v)
	if err != nil {
		panic(fmt.Sprintf("api: tag %s:%q is no number", name, v))
	}
	return i
}

// fault is what is wrong with a value. It never holds the value.
type fault struct{ code, message string }

func faultf(code, format string, args ...any) *fault {
	return &fault{code: code, message: fmt.Sprintf(format, args...)}
}

// setText puts text into dst, or says what is wrong with it.
func (n *schema) setText(dst reflect.Value, s string) *fault {
	if f := n.checkText(s); f != nil {
		return f
	}
	if n.form == formString {
		dst.SetString(s)
		return nil
	}
	if n.typ == reflect.TypeFor[time.Time]() {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil || t.Year() < 1 {
			return faultf("format", "Must be an RFC 3339 time.")
		}
		dst.Set(reflect.ValueOf(t.UTC()))
		return nil
	}
	if err := dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		return faultf("format", "Does not have the form that is wanted here.")
	}
	return nil
}

func (n *schema) checkText(s string) *fault {
	if n.format != "password" && hasControl(s) {
		return faultf("control_character", "Must not contain control characters.")
	}
	if n.minLen > 0 || n.maxLen > 0 {
		switch length := utf8.RuneCountInString(s); {
		case length < n.minLen:
			return faultf("too_short", "Must have at least %d characters.", n.minLen)
		case n.maxLen > 0 && length > n.maxLen:
			return faultf("too_long", "Must have at most %d characters.", n.maxLen)
		}
	}
	if n.enum != nil && !slices.Contains(n.enum, s) {
		return faultf("not_allowed", "Must be one of: %s.", strings.Join(n.enum, ", "))
	}
	if n.pattern != nil && !n.pattern.MatchString(s) {
		return faultf("format", "Does not have the form that is wanted here.")
	}
	return nil
}

// setInt puts a number into dst, or says what is wrong with it.
func (n *schema) setInt(dst reflect.Value, literal string) *fault {
	i, err := strconv.ParseInt(literal, 10, 64)
	switch {
	case err != nil:
		return faultf("type", "Must be an integer in range.")
	case n.min != nil && i < *n.min:
		return faultf("too_small", "Must be at least %d.", *n.min)
	case n.max != nil && i > *n.max:
		return faultf("too_large", "Must be at most %d.", *n.max)
	case dst.CanInt() && dst.OverflowInt(i), dst.CanUint() && (i < 0 || dst.OverflowUint(uint64(i))):
		return faultf("out_of_range", "Must be an integer in range.")
	case dst.CanInt():
		dst.SetInt(i)
	default:
		dst.SetUint(uint64(i))
	}
	return nil
}

// hasControl reports whether text holds a control character (IN-6).
func hasControl(s string) bool {
	for _, r := range s {
		if isControl(r) {
			return true
		}
	}
	return false
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }
