package audit

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
)

// PermRead lets an actor read and verify the log.
const PermRead actor.Permission = "audit:read"

// Filter narrows a listing. Zero fields do not.
type Filter struct {
	Actor     actor.UserID
	Target    AnyID
	Action    Action
	Outcome   Outcome
	IP        netip.Addr // found for 15 to 30 days, while the key of its digest lives
	RequestID string
	From, To  time.Time // from inclusive, to exclusive
}

// Cursor is the place after which a page begins.
type Cursor struct {
	OccurredAt time.Time
	ID         id.ID[Entry]
}

// Page is a part of the log, newest first.
type Page struct {
	Entries []Entry
	More    bool
	Total   *int64
}

// MaxPage bounds the entries of a page.
const MaxPage = 500

// List returns up to limit entries after a place, newest first.
func (l *Log) List(ctx context.Context, by actor.Actor, f Filter, after Cursor, limit int, total bool) (Page, error) {
	if err := by.Require(PermRead); err != nil {
		return Page{}, err
	}
	limit = min(limit, MaxPage)
	where, args, err := l.where(f)
	if err != nil {
		return Page{}, err
	}
	var page Page
	if total {
		page.Total = new(int64)
		if err := l.db.QueryRow(ctx, `SELECT count(*) FROM audit_logs AS l`+where, args...).Scan(page.Total); err != nil {
			return Page{}, fmt.Errorf("count entries: %w", err)
		}
	}
	if !after.ID.IsZero() {
		args = append(args, after.OccurredAt, after.ID)
		where = and(where, `(l.occurred_at, l.id) < ($`+strconv.Itoa(len(args)-1)+`, $`+strconv.Itoa(len(args))+`)`)
	}
	args = append(args, limit+1)
	rows, err := db.List(ctx, l.db, scanRow, `SELECT `+rowColumns+` FROM audit_logs AS l
		LEFT JOIN audit_seals AS s ON s.entry_id = l.id`+where+
		` ORDER BY l.occurred_at DESC, l.id DESC LIMIT $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return Page{}, fmt.Errorf("list entries: %w", err)
	}
	if page.More = len(rows) > limit; page.More {
		rows = rows[:limit]
	}
	page.Entries, err = l.entries(ctx, rows)
	return page, err
}

// where builds the clause of a filter from constant fragments.
func (l *Log) where(f Filter) (string, []any, error) {
	var clause string
	var args []any
	add := func(fragment string, value any) {
		args = append(args, value)
		clause = and(clause, fragment+strconv.Itoa(len(args)))
	}
	if !f.Actor.IsZero() {
		add(`l.actor_id = $`, f.Actor)
	}
	if !f.Target.IsZero() {
		add(`l.target_id = $`, f.Target)
	}
	if f.Action != "" {
		add(`l.action = $`, string(f.Action))
	}
	if f.Outcome != "" {
		add(`l.outcome = $`, string(f.Outcome))
	}
	if f.RequestID != "" {
		add(`l.request_id = $`, f.RequestID)
	}
	if !f.From.IsZero() {
		add(`l.occurred_at >= $`, f.From)
	}
	if !f.To.IsZero() {
		add(`l.occurred_at < $`, f.To)
	}
	if f.IP.IsValid() {
		digests, err := l.digests(f.IP)
		if err != nil {
			return "", nil, err
		}
		clause = and(clause, `l.ip_digest IN `+db.In(&args, digests))
	}
	return clause, args, nil
}

func and(clause, fragment string) string {
	if clause == "" {
		return " WHERE " + fragment
	}
	return clause + " AND " + fragment
}

// digests returns the digest of ip under every key that still lives.
func (l *Log) digests(ip netip.Addr) ([][]byte, error) {
	var list [][]byte
	for _, k := range l.keys.List() {
		if k.Purpose != keyring.AuditDigest {
			continue
		}
		if key, err := l.keys.ByID(keyring.AuditDigest, k.ID.String()); err == nil {
			list = append(list, digest(key, ip))
		}
	}
	return list, nil
}

func (l *Log) entries(ctx context.Context, rows []row) ([]Entry, error) {
	envelopes := make([]Envelope, 0, len(rows))
	var people []actor.UserID
	for _, r := range rows {
		env, err := DecodeEnvelope(r.envelope)
		if err != nil {
			env = r.columns // altered: Verify names it, the listing goes on
		}
		envelopes = append(envelopes, env)
		for _, s := range []Sealed{env.Origin, env.Changes} {
			if name, ok := strings.CutPrefix(s.Key, "p:"); ok {
				if u, err := id.Parse[actor.Subject](name); err == nil {
					people = append(people, u)
				}
			}
		}
	}
	if err := l.keys.LoadPersonKeys(ctx, l.db, people); err != nil {
		return nil, err
	}
	list := make([]Entry, len(rows))
	for i, env := range envelopes {
		var err error
		if list[i], err = l.entry(ctx, env); err != nil {
			return nil, err
		}
		if p := rows[i].position; p != nil {
			list[i].Position = *p
		}
	}
	return list, nil
}

// entry opens what can still be opened.
func (l *Log) entry(ctx context.Context, env Envelope) (Entry, error) {
	e := Entry{
		ID: env.ID, OccurredAt: env.OccurredAt, Action: env.Action, Outcome: env.Outcome, Actor: env.Actor,
		Target: env.Target, RequestID: env.RequestID, SessionID: env.SessionID, Reason: env.Reason, Count: env.Count,
	}
	var from origin
	if err := l.open(ctx, l.db, env, "origin", env.Origin, &from); err != nil {
		return e, fmt.Errorf("open the origin of an entry: %w", err)
	}
	e.IP, e.UserAgent = from.IP, from.UserAgent
	if err := l.open(ctx, l.db, env, "changes", env.Changes, &e.Changes); err != nil {
		return e, fmt.Errorf("open the changes of an entry: %w", err)
	}
	return e, nil
}
