package api

import "reflect"

// Optional is a member of a body that may be absent, which is not the same as
// null (RFC 7396). Where null means "clear", T is a pointer: Set with a nil
// Value. Where T is no pointer, null is refused. It is for inputs only.
type Optional[T any] struct {
	Set   bool
	Value T
}

// Or returns the value, or old when the member is absent.
func (o Optional[T]) Or(old T) T {
	if o.Set {
		return o.Value
	}
	return old
}

// Ptr returns nil when the member is absent.
func (o Optional[T]) Ptr() *T {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// set marks the member as present and returns where its value goes.
func (o *Optional[T]) set() reflect.Value {
	o.Set = true
	return reflect.ValueOf(&o.Value).Elem()
}

// optional is what the decoder sees of an Optional.
type optional interface{ set() reflect.Value }
