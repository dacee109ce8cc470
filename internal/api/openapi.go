package api

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/internal/platform/id"
)

// object is a JSON object of the OpenAPI document. Its members are written in
// alphabetical order, so the document is the same on every run.
type object = map[string]any

// AddOpenAPI adds /openapi.json. It returns the document (OpenAPI 3.1), which
// holds every route that is registered so far: call it last.
func AddOpenAPI(s *Surface) []byte {
	doc := s.openAPI()
	Handle(s, Route{
		Method: http.MethodGet, Path: "/openapi.json", Access: Public(),
		Summary: "This document", Hidden: true,
	}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", JSON)
		w.Header().Set("Content-Length", strconv.Itoa(len(doc)))
		_, _ = w.Write(doc) // a client that left cannot be told
	}))
	return doc
}

func (s *Surface) openAPI() []byte {
	d := &document{components: object{}, types: map[string]reflect.Type{}}
	d.component("Problem", schemaOf(reflect.TypeFor[problem](), ""), true)
	paths := object{}
	for _, e := range s.endpoints {
		if e.Hidden {
			continue
		}
		path := strings.ReplaceAll(e.Path, "...}", "}")
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(e.Method)] = d.operation(e)
	}
	doc := object{
		"openapi": "3.1.0",
		"info":    object{"title": "Gatehouse: " + s.name, "version": s.config.Version},
		"paths":   paths,
		"components": object{
			"schemas": d.components,
			"securitySchemes": object{
				"bearer":  object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
				"refresh": object{"type": "apiKey", "in": "cookie", "name": RefreshCookie},
				"csrf":    object{"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
			},
		},
	}
	if s.base != "" {
		doc["servers"] = []object{{"url": s.base}}
	}
	out, err := json.Marshal(doc, json.Deterministic(true), jsontext.EscapeForHTML(true))
	if err != nil {
		panic("api: openapi: " + err.Error()) // only for a value that no schema makes
	}
	return out
}

// document gathers the named schemas.
type document struct {
	components object
	types      map[string]reflect.Type
}

func (d *document) operation(e *endpoint) object {
	op := object{
		"operationId": operationID(e.Route),
		"summary":     e.Summary,
		"x-access":    e.Access.String(),
		"responses":   d.responses(e),
	}
	if e.Tag != "" {
		op["tags"] = []string{e.Tag}
	}
	if sec := security(e.Access); sec != nil {
		op["security"] = sec
	}
	if e.Limit.Max > 0 {
		op["x-rate-limit"] = object{"max": e.Limit.Max, "window_seconds": int(e.Limit.Window / time.Second)}
	}
	if e.in == nil {
		return op
	}
	if params := d.parameters(e); len(params) > 0 {
		op["parameters"] = params
	}
	if e.in.bodyIndex != nil {
		op["requestBody"] = object{
			"required": !e.in.bodyPointer,
			"content":  object{e.Consumes: object{"schema": d.schema(e.in.body, false)}},
		}
	}
	return op
}

func security(a Access) []object {
	bearer, cookie := object{"bearer": []string{}}, object{"refresh": []string{}, "csrf": []string{}}
	switch a.kind {
	case accessBearer:
		return []object{bearer}
	case accessCookie:
		return []object{cookie, {}}
	case accessBearerOrCookie:
		return []object{bearer, cookie}
	case accessPublic, accessUndeclared:
	}
	return nil
}

func (d *document) parameters(e *endpoint) []object {
	var params []object
	add := func(in string, ps []param) {
		for _, p := range ps {
			o := object{"name": p.name, "in": in, "required": p.required || in == "path", "schema": d.schema(p.schema, false)}
			if p.fallback != "" {
				d.setDefault(o["schema"].(object), p)
			}
			params = append(params, o)
		}
	}
	add("path", e.in.path)
	add("query", e.in.query)
	add("header", e.in.headers)
	if e.in.ifMatch != nil {
		params = append(params, object{"name": "If-Match", "in": "header", "schema": object{"type": "string"}, "description": "The ETag that was read: 412 if it is stale"})
	}
	if e.IdempotencyKey {
		params = append(params, object{"name": "Idempotency-Key", "in": "header", "schema": object{"type": "string", "minLength": 1, "maxLength": 255}, "description": "A repeat within 24 h gets the first answer"})
	}
	return params
}

func (*document) setDefault(schema object, p param) {
	schema["default"] = p.fallback
	switch p.schema.form {
	case formInt:
		if n, err := strconv.Atoi(p.fallback); err == nil {
			schema["default"] = n
		}
	case formBool:
		schema["default"] = p.fallback == "true"
	default:
	}
}

func (d *document) responses(e *endpoint) object {
	refusal := object{
		"description": "A problem (RFC 9457)",
		"content":     object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}},
	}
	status, ok := http.StatusOK, object{}
	if e.out != nil {
		status = e.out.status
		content := object{}
		if e.out.schema != nil {
			content[JSON] = object{"schema": d.schema(e.out.schema, true)}
		}
		for _, kind := range e.Streams {
			content[kind] = object{"schema": object{"type": "string"}}
		}
		if len(content) > 0 {
			ok["content"] = content
		}
		headers := object{}
		for _, h := range e.out.headers {
			headers[h.name] = object{"schema": object{"type": "string"}}
		}
		if len(headers) > 0 {
			ok["headers"] = headers
		}
	}
	ok["description"] = http.StatusText(status)
	return object{strconv.Itoa(status): ok, "default": refusal}
}

// schema returns a JSON Schema (2020-12). In a reply members are required
// unless they may be left out; in a request only those that must be sent.
func (d *document) schema(n *schema, reply bool) object {
	o := d.bare(n, reply)
	if n.pointer {
		if t, ok := o["type"].(string); ok {
			o["type"] = []string{t, "null"}
			if values, ok := o["enum"].([]any); ok {
				o["enum"] = append(values, nil)
			}
		} else if o["$ref"] != nil {
			o = object{"anyOf": []object{o, {"type": "null"}}}
		}
	}
	if n.doc != "" {
		o["description"] = n.doc
	}
	return o
}

func (d *document) bare(n *schema, reply bool) object {
	switch n.form {
	case formAny:
		return object{}
	case formBool:
		return object{"type": "boolean"}
	case formFloat:
		return object{"type": "number"}
	case formInt:
		o := object{"type": "integer"}
		if n.min != nil {
			o["minimum"] = *n.min
		}
		if n.max != nil {
			o["maximum"] = *n.max
		}
		return o
	case formArray:
		o := object{"type": "array", "items": d.schema(n.elem, reply)}
		if !reply {
			o["maxItems"] = n.maxItems
		}
		return o
	case formMap:
		return object{"type": "object", "additionalProperties": d.schema(n.elem, reply)}
	case formObject:
		if n.typ.Name() == "" {
			return d.members(n, reply)
		}
		return d.component(componentName(n.typ), n, reply)
	case formString, formText:
	}
	return text(n)
}

func text(n *schema) object {
	o := object{"type": "string"}
	if n.minLen > 0 {
		o["minLength"] = n.minLen
	}
	if n.maxLen > 0 {
		o["maxLength"] = n.maxLen
	}
	if n.enum != nil {
		values := make([]any, len(n.enum))
		for i, v := range n.enum {
			values[i] = v
		}
		o["enum"] = values
	}
	if n.pattern != nil {
		o["pattern"] = n.pattern.String()
	}
	switch {
	case n.format != "":
		o["format"] = n.format
	case n.typ == reflect.TypeFor[time.Time]():
		o["format"] = "date-time"
	case n.typ.ConvertibleTo(reflect.TypeFor[id.ID[object]]()):
		o["format"] = "uuid"
	}
	return o
}

// component notes a named type once and returns a reference to it. Two types
// of one name, or one type in a request and in a reply, are told apart.
func (d *document) component(name string, n *schema, reply bool) object {
	if !reply {
		name += "Input"
	}
	base := name
	for i := 2; d.types[name] != nil && d.types[name] != n.typ; i++ {
		name = base + strconv.Itoa(i)
	}
	if d.types[name] == nil {
		d.types[name] = n.typ
		d.components[name] = d.members(n, reply)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (d *document) members(n *schema, reply bool) object {
	properties, required := object{}, []string{}
	for _, f := range n.fields {
		properties[f.name] = d.schema(f.schema, reply)
		if reply && !f.omitted || !reply && f.required {
			required = append(required, f.name)
		}
	}
	o := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	if !reply {
		o["additionalProperties"] = false
	}
	return o
}

// componentName turns "Page[gatehouse/internal/api/userapi.user]" into
// "PageUser".
func componentName(t reflect.Type) string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(t.Name(), func(r rune) bool { return r == '[' || r == ']' || r == ',' }) {
		if i := strings.LastIndexAny(part, "./"); i >= 0 {
			part = part[i+1:]
		}
		b.WriteString(capital(part))
	}
	return b.String()
}

func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// operationID turns "GET /users/{id}/roles" into "getUsersIdRoles".
func operationID(r Route) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(r.Method))
	for part := range strings.FieldsFuncSeq(r.Path, func(ch rune) bool { return ch > 0x7f || !isAlnum(byte(ch)) }) {
		b.WriteString(capital(part))
	}
	return b.String()
}
