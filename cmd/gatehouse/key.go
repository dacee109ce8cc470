package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/id"
)

type keyCmd struct {
	List     keyListCmd     `cmd:"" help:"List every key, without its secret half."`
	Rotate   keyRotateCmd   `cmd:"" help:"Let a new key follow the active one, once every verifier can know it."`
	Withdraw keyWithdrawCmd `cmd:"" help:"Refuse, within a minute on every server, what a signing key has signed."`
	Rewrap   keyRewrapCmd   `cmd:"" help:"Seal every key with the first master key of the configuration. Can be stopped and repeated."`
}

// keyView is a key as the output shows it.
type keyView struct {
	ID         keyring.ID        `json:"id"`
	Purpose    keyring.Purpose   `json:"purpose"`
	Algorithm  keyring.Algorithm `json:"algorithm"`
	Status     keyring.Status    `json:"status"`
	MasterKey  string            `json:"master_key"`
	CreatedAt  time.Time         `json:"created_at"`
	ActiveFrom *time.Time        `json:"active_from"`
	RetiredAt  *time.Time        `json:"retired_at"`
	DestroyAt  *time.Time        `json:"destroy_at"`
}

func keyFrom(k keyring.Key) keyView {
	return keyView{
		ID: k.ID, Purpose: k.Purpose, Algorithm: k.Algorithm, Status: k.Status, MasterKey: k.MasterKey, CreatedAt: k.CreatedAt,
		ActiveFrom: instant(k.ActiveFrom), RetiredAt: instant(k.RetiredAt), DestroyAt: instant(k.DestroyAt),
	}
}

type keyListCmd struct {
	outputFlag
	configFlags
}

// Run lists the keys.
func (c keyListCmd) Run(ctx context.Context, e *env) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	keys, err := a.Custody.List(ctx, operator("key list"))
	if err != nil {
		return err
	}
	views, rows := make([]keyView, len(keys)), make([][]string, len(keys))
	for i, k := range keys {
		views[i] = keyFrom(k)
		rows[i] = []string{
			k.ID.String(), string(k.Purpose), string(k.Algorithm), string(k.Status), date(k.CreatedAt), date(k.ActiveFrom), date(k.DestroyAt), k.MasterKey,
		}
	}
	return c.show(e.Stdout, views, func(w io.Writer) error {
		return table(w, []string{"ID", "PURPOSE", "ALGORITHM", "STATUS", "CREATED", "ACTIVE FROM", "DESTROYED", "MASTER KEY"}, rows)
	})
}

// purposeFlag is the purpose of a key on the command line.
type purposeFlag string

// Validate is for the command line.
func (p purposeFlag) Validate() error {
	if !slices.Contains(keyring.Purposes(), keyring.Purpose(p)) {
		return fmt.Errorf("must be one of %v", keyring.Purposes())
	}
	return nil
}

// algorithmFlag is the kind of a key on the command line.
type algorithmFlag string

// Validate is for the command line.
func (a algorithmFlag) Validate() error {
	_, err := a.spec()
	return err
}

func (a algorithmFlag) spec() (keyring.Spec, error) {
	if a == "" {
		return keyring.Spec{}, nil
	}
	return keyring.ParseSpec(string(a))
}

type keyRotateCmd struct {
	Purpose   purposeFlag   `default:"access_token" help:"What the key is for, as key list shows it."`
	Algorithm algorithmFlag `placeholder:"NAME" help:"RS256, PS256, ES256 or EdDSA; RS256/3072 and PS256/3072 for a longer key. Default: as the active key."`
	Force     bool          `help:"Rotate now. Verifiers that cache the published keys may refuse new tokens for some minutes."`
	outputFlag
	configFlags
}

// changeView is a change of keys as the output shows it.
type changeView struct {
	Kind    keyring.Kind    `json:"kind"`
	Purpose keyring.Purpose `json:"purpose"`
	Old     *keyView        `json:"old"`
	New     *keyView        `json:"new"`
}

func changeFrom(c keyring.Change) changeView {
	v := changeView{Kind: c.Kind, Purpose: c.Purpose}
	if !c.Old.ID.IsZero() {
		old := keyFrom(c.Old)
		v.Old = &old
	}
	if !c.New.ID.IsZero() {
		next := keyFrom(c.New)
		v.New = &next
	}
	return v
}

// Run rotates a key, or plans to.
func (c keyRotateCmd) Run(ctx context.Context, e *env) error {
	spec, err := c.Algorithm.spec()
	if err != nil {
		return err
	}
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	change, err := a.Custody.Rotate(ctx, operator("key rotate"), keyring.Purpose(c.Purpose), spec, c.Force)
	if err != nil {
		return err
	}
	return c.show(e.Stdout, changeFrom(change), func(w io.Writer) error {
		if change.Kind == keyring.Scheduled {
			_, err := fmt.Fprintf(w, "key %s (%s) is published and becomes active on %s UTC\n",
				change.New.ID, change.New.Algorithm, date(change.New.ActiveFrom))
			return err
		}
		_, err := fmt.Fprintf(w, "key %s (%s) is active\n", change.New.ID, change.New.Algorithm)
		return err
	})
}

type keyWithdrawCmd struct {
	ID string `arg:"" help:"Id of the signing key."`
	outputFlag
	configFlags
}

// Run withdraws a signing key.
func (c keyWithdrawCmd) Run(ctx context.Context, e *env) error {
	key, err := id.Parse[keyring.Label](c.ID)
	if err != nil {
		return keyring.ErrNotFound
	}
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	change, err := a.Custody.Withdraw(ctx, operator("key withdraw"), key)
	if err != nil {
		return err
	}
	return c.show(e.Stdout, changeFrom(change), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "key %s is withdrawn\n", change.Old.ID)
		if err == nil && !change.New.ID.IsZero() {
			_, err = fmt.Fprintf(w, "key %s (%s) is active\n", change.New.ID, change.New.Algorithm)
		}
		return err
	})
}

type keyRewrapCmd struct {
	outputFlag
	configFlags
}

// rewrapped is what key rewrap says to a program.
type rewrapped struct {
	Keys    int64    `json:"keys"`
	Retired []string `json:"retired_master_keys"`
}

// Run seals the keys anew.
func (c keyRewrapCmd) Run(ctx context.Context, e *env) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	p := newProgress(e.Stderr, "keys rewrapped")
	done, err := a.Custody.Rewrap(ctx, operator("key rewrap"), p.Update)
	p.End()
	if err != nil {
		return fmt.Errorf("after %d keys (run it again to go on): %w", done.Keys, err)
	}
	return c.show(e.Stdout, rewrapped{done.Keys, append([]string{}, done.Retired...)}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d keys rewrapped\n", done.Keys)
		for _, id := range done.Retired {
			_, err = fmt.Fprintf(w, "master key %s wraps nothing any more: take it out of the configuration\n", id)
		}
		return err
	})
}
