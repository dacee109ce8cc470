package adminapi

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/throttle"
)

func (a *surface) auditRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/admin/audit-logs", Access: api.Needs(audit.PermRead), Unbounded: true,
		Tag: "Log", Summary: "List the log, newest first; with Accept text/csv or application/x-ndjson the whole range as a stream",
		Streams: []string{csvType, linesType},
	}, a.listEntries)
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/admin/audit-logs/verify", Access: api.Needs(audit.PermRead), Unbounded: true,
		Limit: throttle.Limit{Max: 20, Window: time.Minute},
		Tag:   "Log", Summary: "Prove the log whole, or name what is broken",
	}, a.verifyLog)
}

type listEntriesInput struct {
	api.Listing

	Accept    string        `header:"Accept"`
	Actor     *actor.UserID `query:"actor" doc:"Id of who did it"`
	Target    *audit.AnyID  `query:"target" doc:"Id of to whom or to what it was done"`
	Action    audit.Action  `query:"action" maxLength:"100" pattern:"^[a-z_]+\\.[a-z_]+$" doc:"Such as login.failed"`
	Outcome   audit.Outcome `query:"outcome" enum:"success,failure,denied"`
	IP        *netip.Addr   `query:"ip" minLength:"1" doc:"Address of the client; entries are found by it for 30 days"`
	RequestID string        `query:"request_id" minLength:"1" maxLength:"200"`
	From      time.Time     `query:"from" doc:"Inclusive"`
	To        time.Time     `query:"to" doc:"Exclusive"`
}

func (in *listEntriesInput) filter() (audit.Filter, error) {
	f := audit.Filter{Action: in.Action, Outcome: in.Outcome, RequestID: in.RequestID, From: in.From, To: in.To}
	if in.Actor != nil {
		f.Actor = *in.Actor
	}
	if in.Target != nil {
		f.Target = *in.Target
	}
	if in.IP != nil {
		f.IP = in.IP.Unmap().WithZone("")
	}
	switch {
	case in.Actor != nil && f.Actor.IsZero():
		return f, errs.InvalidField("actor", "format", "Must be the id of a user.")
	case in.Target != nil && f.Target.IsZero():
		return f, errs.InvalidField("target", "format", "Must be an id.")
	}
	return f, nil
}

type entriesOutput struct {
	Vary   string `header:"Vary"`
	Link   string `header:"Link"`
	Body   api.Page[entry]
	Stream *api.Stream
}

func (a *surface) listEntries(ctx context.Context, by actor.Actor, in *listEntriesInput) (*entriesOutput, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	if format, ok := exportFormat(in.Accept); ok {
		return &entriesOutput{Vary: vary, Stream: format.stream(a.Audit.All(ctx, by, f))}, nil
	}
	var after audit.Cursor
	if _, err := in.After(&after); err != nil {
		return nil, err
	}
	page, err := a.Audit.List(ctx, by, f, after, in.Limit, in.IncludeTotal)
	if err != nil {
		return nil, err
	}
	var next any
	if page.More {
		next = page.Entries[len(page.Entries)-1].Cursor()
	}
	out, err := api.NewPage(&in.Listing, entriesFrom(page.Entries), next, page.Total)
	if err != nil {
		return nil, err
	}
	return &entriesOutput{Vary: vary, Link: out.Link, Body: out.Body}, nil
}

// vary says that the answer depends on what the client accepts.
const vary = "Origin, Accept"

// party is who did it, or to whom or to what it was done.
type party struct {
	Type string       `json:"type"`
	ID   *audit.AnyID `json:"id"`
}

func partyFrom(kind string, of audit.AnyID) party {
	if of.IsZero() {
		return party{Type: kind}
	}
	return party{Type: kind, ID: &of}
}

// change is a field before and after.
type change struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// entry is an entry of the log as clients see it.
type entry struct {
	ID         audit.AnyID       `json:"id"`
	Position   *int64            `json:"position" doc:"null until the entry is sealed"`
	OccurredAt time.Time         `json:"occurred_at"`
	Action     audit.Action      `json:"action"`
	Outcome    audit.Outcome     `json:"outcome" enum:"success,failure,denied"`
	Actor      party             `json:"actor"`
	Target     party             `json:"target"`
	IP         *netip.Addr       `json:"ip" doc:"null when there was none, or the person was erased"`
	UserAgent  *string           `json:"user_agent" doc:"null when there was none, or the person was erased"`
	RequestID  *string           `json:"request_id"`
	SessionID  *actor.SessionID  `json:"session_id"`
	Reason     *string           `json:"reason"`
	Count      int64             `json:"count" doc:"Of equal events that this entry stands for"`
	Changes    map[string]change `json:"changes"`
}

func entriesFrom(list []audit.Entry) []entry {
	shown := make([]entry, len(list))
	for i, e := range list {
		shown[i] = entryFrom(e)
	}
	return shown
}

func entryFrom(e audit.Entry) entry {
	shown := entry{
		ID: audit.AnyID(e.ID), OccurredAt: e.OccurredAt, Action: e.Action, Outcome: e.Outcome,
		Actor: partyFrom(string(e.Actor.Type), audit.AnyID(e.Actor.ID)), Target: partyFrom(e.Target.Type, e.Target.ID),
		UserAgent: orNull(e.UserAgent), RequestID: orNull(e.RequestID), Reason: orNull(e.Reason), Count: e.Count,
		Changes: make(map[string]change, len(e.Changes)),
	}
	if e.Position != 0 {
		shown.Position = &e.Position
	}
	if e.IP.IsValid() {
		shown.IP = &e.IP
	}
	if !e.SessionID.IsZero() {
		shown.SessionID = &e.SessionID
	}
	for name, c := range e.Changes {
		shown.Changes[name] = change(c)
	}
	return shown
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
