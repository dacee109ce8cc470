package idempotency

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"gatehouse/internal/platform/secret"
)

// The purposes that the sealing key is derived for.
const (
	requestPurpose = "idempotency request"
	answerPurpose  = "idempotency answer"
)

// encode returns v as JSON, the same bytes for the same value. Unlike
// elsewhere a secret.String is written as it is: the text is only fed to a
// keyed MAC or sealed.
func encode(v any) ([]byte, error) {
	reveal := json.MarshalToFunc(func(out *jsontext.Encoder, s secret.String) error {
		return out.WriteToken(jsontext.String(s.Reveal()))
	})
	return json.Marshal(v, json.Deterministic(true), json.FormatNilSliceAsNull(true),
		jsonv1.FormatDurationAsNano(true), jsontext.AllowInvalidUTF8(true), json.WithMarshalers(reveal))
}

func decode(text []byte, v any) error {
	return json.Unmarshal(text, v, jsonv1.FormatDurationAsNano(true), jsontext.AllowInvalidUTF8(true))
}

// requestMAC binds the input to the row, so that equal requests of two people
// don't look alike.
func (c claim) requestMAC(key secret.Key, input any) ([]byte, error) {
	text, err := encode(input)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	mac := key.Derive(requestPurpose).MAC(c.actorID[:], []byte(c.operation), []byte(c.key), text)
	return mac[:], nil
}

// aad names the row of a sealed answer. The id has a fixed length, and neither
// an operation nor a key holds a NUL.
func (c claim) aad() []byte {
	return []byte("idempotency_keys.answer\x00" + c.actorID.String() + "\x00" + c.operation + "\x00" + c.key)
}
