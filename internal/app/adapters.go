package app

import (
	"context"
	"encoding/hex"
	"strings"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/telemetry"
	"gatehouse/internal/rbac"
	"gatehouse/internal/session"
)

// accessDenied is the action of a signed-in person who lacks a permission.
const accessDenied audit.Action = "access.denied"

// catalogue gathers every permission that a capability checks.
func catalogue() [][]rbac.Permission {
	return [][]rbac.Permission{
		account.Permissions(),
		rbac.Permissions(),
		{
			{Name: session.PermRead, Description: "See the sessions of others"},
			{Name: session.PermRevoke, Description: "End the sessions of others"},
			{Name: audit.PermRead, Description: "Read and verify the log"},
		},
	}
}

// digests makes keys of what strangers type.
type digests struct{ keys *keyring.Keyring }

func (d digests) AccountDigest(identifier string) ([32]byte, error) {
	key, err := d.keys.Current(keyring.Pseudonym)
	if err != nil {
		return [32]byte{}, err
	}
	return key.Key.MAC([]byte("account"), []byte(identifier)), nil
}

// pseudonym names a person in logs, metrics and traces (PRV-4).
func (a *App) pseudonym(u actor.UserID) string {
	key, err := a.Keys.Current(keyring.Pseudonym)
	if err != nil {
		return ""
	}
	mac := key.Key.MAC([]byte("person"), u[:])
	return hex.EncodeToString(mac[:8])
}

// denied logs that a signed-in person was refused, and what they aimed at.
func (a *App) denied(ctx context.Context, by actor.Actor, r api.Route, about string) {
	target := audit.Person(by.UserID)
	if aimed, err := id.Parse[actor.Subject](about); err == nil {
		target = audit.Person(aimed)
		if strings.HasPrefix(r.Path, "/admin/roles/") {
			target = audit.Thing("role", rbac.RoleID(aimed))
		}
	}
	err := a.Audit.Observe(ctx, by, audit.Event{
		Action: accessDenied, Outcome: audit.Denied, Target: target, Reason: string(r.Access.Permission()),
	})
	if err != nil {
		a.log.ErrorContext(ctx, "log a refusal", "error", err)
	}
}

type outcomes struct{ counter *telemetry.Outcomes }

func (o outcomes) SignIn(outcome string) { o.counter.Add(outcome) }
