package db

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// identifier is an id.ID of any kind.
type identifier interface {
	Bytes() ([16]byte, bool)
	String() string
}

// identifierDest is a pointer to an id.ID of any kind.
type identifierDest interface{ SetBytes([16]byte) }

// postgresArgs replaces what pgx would encode by reflection.
func postgresArgs(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case identifier:
			if b, ok := v.Bytes(); ok {
				args[i] = b
			} else {
				args[i] = nil
			}
		case time.Time:
			if v.IsZero() {
				args[i] = nil
			}
		case netip.Addr:
			if !v.IsValid() {
				args[i] = nil
			}
		}
	}
	return args
}

// postgresDest wraps the destinations that want a form of their own.
func postgresDest(dest []any) []any {
	out := make([]any, len(dest))
	for i, d := range dest {
		switch v := d.(type) {
		case identifierDest:
			out[i] = pgID{v}
		case *time.Time:
			out[i] = pgTime{v}
		case **time.Time:
			out[i] = pgTimePtr{v}
		case *netip.Addr:
			out[i] = pgAddr{v}
		default:
			out[i] = d
		}
	}
	return out
}

type pgID struct{ to identifierDest }

func (d pgID) ScanUUID(v pgtype.UUID) error {
	d.to.SetBytes(v.Bytes) // zero when NULL
	return nil
}

type pgTime struct{ to *time.Time }

func (d pgTime) ScanTimestamptz(v pgtype.Timestamptz) error {
	*d.to = time.Time{}
	if v.Valid {
		*d.to = v.Time.UTC()
	}
	return nil
}

type pgTimePtr struct{ to **time.Time }

func (d pgTimePtr) ScanTimestamptz(v pgtype.Timestamptz) error {
	*d.to = nil
	if v.Valid {
		t := v.Time.UTC()
		*d.to = &t
	}
	return nil
}

type pgAddr struct{ to *netip.Addr }

func (d pgAddr) ScanNetipPrefix(v netip.Prefix) error {
	*d.to = v.Addr()
	return nil
}

// sqliteArgs stores instants as microseconds and ids and addresses as text.
func sqliteArgs(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case identifier:
			if _, ok := v.Bytes(); ok {
				args[i] = v.String()
			} else {
				args[i] = nil
			}
		case time.Time:
			args[i] = micros(v)
		case *time.Time:
			args[i] = nil
			if v != nil {
				args[i] = micros(*v)
			}
		case netip.Addr:
			args[i] = nil
			if v.IsValid() {
				args[i] = v.String()
			}
		}
	}
	return args
}

func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// sqliteDest is the reverse of sqliteArgs; an id.ID scans itself.
func sqliteDest(dest []any) []any {
	out := make([]any, len(dest))
	for i, d := range dest {
		switch v := d.(type) {
		case *time.Time:
			out[i] = liteTime{v}
		case **time.Time:
			out[i] = liteTimePtr{v}
		case *netip.Addr:
			out[i] = liteAddr{v}
		default:
			out[i] = d
		}
	}
	return out
}

type liteTime struct{ to *time.Time }

func (d liteTime) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d.to = time.Time{}
	case int64:
		*d.to = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("db: instant stored as %T", src)
	}
	return nil
}

type liteTimePtr struct{ to **time.Time }

func (d liteTimePtr) Scan(src any) error {
	if src == nil {
		*d.to = nil
		return nil
	}
	*d.to = new(time.Time)
	return liteTime{*d.to}.Scan(src)
}

type liteAddr struct{ to *netip.Addr }

func (d liteAddr) Scan(src any) error {
	*d.to = netip.Addr{}
	text, ok := src.(string)
	if !ok {
		if src == nil {
			return nil
		}
		return fmt.Errorf("db: address stored as %T", src)
	}
	a, err := netip.ParseAddr(text)
	*d.to = a
	return err
}
