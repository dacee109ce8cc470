// Package api holds what the HTTP surfaces of Gatehouse share, so that an
// endpoint is a typed function and one line in a table.
//
// It owns the way of a request from the socket to that function and back: who
// the client is, which headers every reply carries, what is refused before
// anything is decoded, who may call, how often, how the body and the query are
// read, how errors look and what is logged and counted.
//
// Invariants:
//   - A route that does not say who may call it does not start.
//   - Refusals for want of rights come before the body is read.
//   - What a client submits is never in an error, a log line or a metric.
//   - Every reply, whatever its status, carries the headers of TLS-1.
//   - No input makes a reply of 5xx.
//
// One route is registered so:
//
//	type renameInput struct {
//		ID      actor.UserID `path:"id"`
//		IfMatch api.IfMatch
//		Body    struct {
//			Name string `json:"name" minLength:"1" maxLength:"100"`
//		}
//	}
//	type personOutput struct {
//		ETag string `header:"ETag"`
//		Body person
//	}
//	api.Register(s, api.Route{
//		Method: http.MethodPut, Path: "/people/{id}", Access: api.Needs("people:write"),
//		Tag: "People", Summary: "Rename a person",
//	}, func(ctx context.Context, by actor.Actor, in *renameInput) (*personOutput, error) { ... })
//
// Why this is no library is told in docs/decisions/0003-http-adapter.md.
package api
