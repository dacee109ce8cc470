// Package errs holds the one error type that crosses package borders on its
// way to a client: a kind, a stable code, a message that is safe to show, and
// a cause that is not.
package errs

import (
	"errors"
	"time"
)

// Kind says what sort of failure an error is. The HTTP adapter maps each kind
// to one status.
type Kind uint8

// The kinds of failure. The zero value is an internal one, so that an error
// which nobody classified is never shown to a client.
const (
	Internal           Kind = iota // 500
	Malformed                      // 400
	Unauthenticated                // 401
	Forbidden                      // 403
	NotFound                       // 404
	Conflict                       // 409
	PreconditionFailed             // 412
	TooLarge                       // 413
	UnsupportedMedia               // 415
	Misdirected                    // 421
	Invalid                        // 422
	RateLimited                    // 429
	Upstream                       // 502
	Unavailable                    // 503
)

// Field is one fault of one submitted field. Message never repeats the value.
type Field struct {
	Field   string
	Code    string
	Message string
}

// Error is a failure that a caller may branch on or a client may see.
type Error struct {
	Kind       Kind
	Code       string        // stable snake_case word, a promise to clients
	Message    string        // safe to show
	Fields     []Field       // for Invalid
	RetryAfter time.Duration // for RateLimited and Unavailable; 0 = not said
	Details    map[string]any
	Err        error // the cause, for the log only
}

// New returns an error of the given kind, code and message.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// InvalidField returns a validation error about a single field.
func InvalidField(field, code, message string) *Error {
	return InvalidFields(Field{Field: field, Code: code, Message: message})
}

// InvalidFields returns a validation error about several fields.
func InvalidFields(fields ...Field) *Error {
	return &Error{
		Kind: Invalid, Code: "validation_failed",
		Message: "The request has invalid fields.", Fields: fields,
	}
}

// Error returns the code and the message, with the cause behind them.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same code, so that a copy
// with fields or a cause still matches the variable it was made from.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// With returns a copy that carries err as its cause.
func (e *Error) With(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// After returns a copy that tells the client when to come back.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Detail returns a copy that shows the client one more member, for example
// which sign-in would do.
func (e *Error) Detail(name string, value any) *Error {
	c := *e
	c.Details = map[string]any{name: value}
	for k, v := range e.Details {
		c.Details[k] = v
	}
	return &c
}

// KindOf returns the kind of the first *Error in err's chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
