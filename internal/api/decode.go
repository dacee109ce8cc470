package api

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/internal/platform/errs"
)

const (
	maxFaults    = 20 // named in one reply
	maxFaultName = 64
)

var (
	errDepth    = errors.New("json nests too deep")
	errTrailing = errors.New("more than one json value")
	errNUL      = errors.New("NUL in a password")
)

// decoder reads one JSON text along a schema, in one pass. What is no JSON, or
// not JSON as IN-2 wants it, ends it with an error. What is JSON but breaks the
// schema is gathered, and reading goes on, so that a broken text is never
// reported as a wrong one.
type decoder struct {
	*jsontext.Decoder
	body   []byte
	faults []errs.Field
}

// decodeJSON reads body into dst, which must be settable. Names are matched
// with their case; duplicates, broken UTF-8 and a second value are refused.
func decodeJSON(body []byte, n *schema, dst reflect.Value) error {
	d := &decoder{Decoder: jsontext.NewDecoder(bytes.NewBuffer(body)), body: body}
	err := d.value(n, dst, "")
	if err == nil {
		if _, err = d.ReadToken(); err == nil {
			err = errTrailing
		}
	}
	if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errMalformed.With(err)
	}
	if len(d.faults) > 0 {
		return errs.InvalidFields(d.faults...)
	}
	return nil
}

func (d *decoder) fault(path string, f *fault) {
	if f != nil && len(d.faults) < maxFaults {
		d.faults = append(d.faults, errs.Field{Field: path, Code: f.code, Message: f.message})
	}
}

// mismatch notes a value of the wrong type and passes over it.
func (d *decoder) mismatch(path, want string) error {
	d.fault(path, faultf("type", "Must be %s.", want))
	_, err := d.skip()
	return err
}

// skip passes over a value. It reports whether a text in it has a control
// character.
func (d *decoder) skip() (control bool, err error) {
	for depth := d.StackDepth(); ; {
		t, err := d.ReadToken()
		if err != nil {
			return control, noEOF(err)
		}
		if d.StackDepth() > maxDepth {
			return control, errDepth
		}
		if t.Kind() == '"' && hasControl(t.String()) {
			control = true
		}
		if d.StackDepth() == depth {
			return control, nil
		}
	}
}

// noEOF keeps a text that ends too early apart from the end of a whole one.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (d *decoder) value(n *schema, dst reflect.Value, path string) error {
	if d.PeekKind() == 'n' && n.form != formAny {
		return d.null(n, dst, path)
	}
	if n.optional {
		dst = dst.Addr().Interface().(optional).set()
	}
	if n.pointer {
		dst.Set(reflect.New(n.typ))
		dst = dst.Elem()
	}
	switch n.form {
	case formAny:
		return d.any(dst, path)
	case formObject:
		return d.object(n, dst, path)
	case formArray:
		return d.array(n, dst, path)
	case formMap:
		return d.dict(n, dst, path)
	case formString, formText, formBool, formInt, formFloat:
	}
	return d.scalar(n, dst, path)
}

func (d *decoder) null(n *schema, dst reflect.Value, path string) error {
	if _, err := d.ReadToken(); err != nil {
		return noEOF(err)
	}
	if !n.pointer {
		d.fault(path, faultf("null", "Must not be null."))
		return nil
	}
	if n.optional {
		dst = dst.Addr().Interface().(optional).set()
	}
	dst.SetZero()
	return nil
}

func (d *decoder) scalar(n *schema, dst reflect.Value, path string) error {
	kind, want := d.PeekKind(), n.form.kind()
	if kind == 'f' {
		kind = 't'
	}
	if kind != want {
		return d.mismatch(path, n.form.String())
	}
	t, err := d.ReadToken()
	if err != nil {
		return noEOF(err)
	}
	switch n.form {
	case formBool:
		dst.SetBool(t.Bool())
	case formInt:
		d.fault(path, n.setInt(dst, t.String()))
	case formFloat:
		f, err := strconv.ParseFloat(t.String(), 64)
		if err != nil {
			d.fault(path, faultf("out_of_range", "Must be a number in range."))
			return nil
		}
		dst.SetFloat(f)
	default:
		s := t.String()
		if n.format == "password" && strings.IndexByte(s, 0) >= 0 {
			return errNUL // PW-1
		}
		d.fault(path, n.setText(dst, s))
	}
	return nil
}

func (d *decoder) object(n *schema, dst reflect.Value, path string) error {
	if d.PeekKind() != '{' {
		return d.mismatch(path, n.form.String())
	}
	if err := d.open(); err != nil {
		return err
	}
	seen := make([]bool, len(n.fields))
	for d.PeekKind() != '}' {
		t, err := d.ReadToken()
		if err != nil {
			return noEOF(err)
		}
		name := t.String()
		i, ok := n.byName[name]
		if !ok {
			d.fault(join(path, printable(name)), faultf("unknown", "Is not a member of this object."))
			if _, err := d.skip(); err != nil {
				return err
			}
			continue
		}
		seen[i] = true
		f := &n.fields[i]
		if err := d.value(f.schema, dst.FieldByIndex(f.index), join(path, name)); err != nil {
			return err
		}
	}
	for i := range n.fields {
		if n.fields[i].required && !seen[i] {
			d.fault(join(path, n.fields[i].name), faultf("required", "Is required."))
		}
	}
	_, err := d.ReadToken()
	return noEOF(err)
}

// open reads the bracket that begins an object or an array.
func (d *decoder) open() error {
	if _, err := d.ReadToken(); err != nil {
		return noEOF(err)
	}
	if d.StackDepth() > maxDepth {
		return errDepth
	}
	return nil
}

func (d *decoder) array(n *schema, dst reflect.Value, path string) error {
	if d.PeekKind() != '[' {
		return d.mismatch(path, n.form.String())
	}
	if err := d.open(); err != nil {
		return err
	}
	dst.Set(reflect.MakeSlice(n.typ, 0, 0))
	for i := 0; d.PeekKind() != ']'; i++ {
		if i >= n.maxItems {
			if i == n.maxItems {
				d.fault(path, faultf("too_many", "Must have at most %d items.", n.maxItems))
			}
			if _, err := d.skip(); err != nil {
				return err
			}
			continue
		}
		dst.Set(reflect.Append(dst, reflect.Zero(n.typ.Elem())))
		if err := d.value(n.elem, dst.Index(i), join(path, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return noEOF(err)
}

func (d *decoder) dict(n *schema, dst reflect.Value, path string) error {
	if d.PeekKind() != '{' {
		return d.mismatch(path, n.form.String())
	}
	if err := d.open(); err != nil {
		return err
	}
	dst.Set(reflect.MakeMap(n.typ))
	for i := 0; d.PeekKind() != '}'; i++ {
		t, err := d.ReadToken()
		if err != nil {
			return noEOF(err)
		}
		key := t.String()
		at := join(path, printable(key))
		switch {
		case i == n.maxItems:
			d.fault(path, faultf("too_many", "Must have at most %d members.", n.maxItems))
		case hasControl(key):
			d.fault(at, faultf("control_character", "Must not contain control characters."))
		}
		v := reflect.New(n.typ.Elem()).Elem()
		if err := d.value(n.elem, v, at); err != nil {
			return err
		}
		if i < n.maxItems {
			dst.SetMapIndex(reflect.ValueOf(key).Convert(n.typ.Key()), v)
		}
	}
	_, err := d.ReadToken()
	return noEOF(err)
}

// any keeps a value as it was sent, or as package json reads it.
func (d *decoder) any(dst reflect.Value, path string) error {
	start := d.InputOffset()
	control, err := d.skip()
	if err != nil {
		return err
	}
	if control {
		d.fault(path, faultf("control_character", "Must not contain control characters."))
		return nil
	}
	raw := bytes.TrimLeft(d.body[start:d.InputOffset()], " \t\r\n:,")
	if dst.Kind() == reflect.Interface {
		return json.Unmarshal(raw, dst.Addr().Interface())
	}
	dst.SetBytes(bytes.Clone(raw))
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// printable makes a name that the client made up fit for a reply.
func printable(name string) string {
	if len(name) > maxFaultName {
		name = name[:maxFaultName]
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
}

// kind is the first character by which jsontext names the form.
func (f form) kind() jsontext.Kind {
	switch f {
	case formBool:
		return 't'
	case formInt, formFloat:
		return '0'
	case formObject, formMap:
		return '{'
	case formArray:
		return '['
	case formString, formText, formAny:
	}
	return '"'
}

// String names the form as a message to the client does.
func (f form) String() string {
	switch f {
	case formBool:
		return "true or false"
	case formInt:
		return "an integer"
	case formFloat:
		return "a number"
	case formObject, formMap:
		return "an object"
	case formArray:
		return "an array"
	case formString, formText, formAny:
	}
	return "a string"
}
