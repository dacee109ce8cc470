package authapi

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/token"
)

func (a *surface) keyRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/.well-known/jwks.json", Access: api.Public(),
		Tag: "Keys", Summary: "The public keys that verify access tokens, the next one ahead of its use (RFC 7517)",
		Streams:      []string{token.JWKSType},
		CacheControl: "public, max-age=" + strconv.Itoa(int(token.JWKSMaxAge/time.Second)),
	}, a.jwks)
}

type jwksOutput struct{ Stream *api.Stream }

func (a *surface) jwks(context.Context, actor.Actor, *api.None) (*jwksOutput, error) {
	doc, err := token.JWKS(a.Keys)
	if err != nil {
		return nil, err
	}
	return &jwksOutput{Stream: &api.Stream{ContentType: token.JWKSType, Write: func(w io.Writer) error {
		_, err := w.Write(doc)
		return err
	}}}, nil
}
