package adminapi

import (
	"bufio"
	"encoding/csv"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/internal/api"
	"gatehouse/internal/audit"
)

// entries is a range of the log.
type entries = iter.Seq2[audit.Entry, error]

// The types in which a whole range is streamed.
const (
	csvType   = "text/csv"
	linesType = "application/x-ndjson"
)

// format is a form in which a whole range of the log is streamed.
type format struct {
	contentType string
	write       func(w io.Writer, list entries) error
}

func (f format) stream(list entries) *api.Stream {
	return &api.Stream{ContentType: f.contentType, Write: func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 32<<10)
		if err := f.write(out, list); err != nil {
			return err
		}
		return out.Flush()
	}}
}

// exportFormat returns the format that an Accept header names, or false where
// a page of JSON will do. Of several the first one counts.
func exportFormat(accept string) (format, bool) {
	for part := range strings.SplitSeq(accept, ",") {
		name, _, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case api.JSON, "application/*", "*/*":
			return format{}, false
		case csvType:
			return format{csvType + "; charset=utf-8; header=present", writeCSV}, true
		case linesType:
			return format{linesType, writeLines}, true
		}
	}
	return format{}, false
}

// writeLines writes an entry a line, in the shape of the list.
func writeLines(w io.Writer, list entries) error {
	for e, err := range list {
		if err != nil {
			return err
		}
		if err := json.MarshalWrite(w, entryFrom(e), json.Deterministic(true), jsontext.EscapeForHTML(true)); err != nil {
			return err
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	return nil
}

// writeCSV writes a heading and an entry a record (RFC 4180).
func writeCSV(w io.Writer, list entries) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write([]string{
		"id", "position", "occurred_at", "action", "outcome", "actor_type", "actor_id", "target_type", "target_id",
		"ip", "user_agent", "request_id", "session_id", "reason", "count", "changes",
	}); err != nil {
		return err
	}
	for e, err := range list {
		if err != nil {
			return err
		}
		record, err := recordOf(e)
		if err != nil {
			return err
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func recordOf(e audit.Entry) ([]string, error) {
	var position, changes, ip, session string
	if e.Position != 0 {
		position = strconv.FormatInt(e.Position, 10)
	}
	if e.IP.IsValid() {
		ip = e.IP.String()
	}
	if !e.SessionID.IsZero() {
		session = e.SessionID.String()
	}
	if len(e.Changes) > 0 {
		text, err := json.Marshal(e.Changes, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		changes = string(text)
	}
	record := []string{
		e.ID.String(), position, e.OccurredAt.Format(time.RFC3339Nano), string(e.Action), string(e.Outcome),
		string(e.Actor.Type), idOrNone(audit.AnyID(e.Actor.ID)), e.Target.Type, idOrNone(e.Target.ID),
		ip, e.UserAgent, e.RequestID, session, e.Reason, strconv.FormatInt(e.Count, 10), changes,
	}
	for i, cell := range record {
		record[i] = harmless(cell)
	}
	return record, nil
}

func idOrNone(of audit.AnyID) string {
	if of.IsZero() {
		return ""
	}
	return of.String()
}

// harmless keeps a spreadsheet from taking text for a formula (IN-8).
func harmless(cell string) string {
	if cell != "" && strings.IndexByte("=+-@\t\r\x00", cell[0]) >= 0 {
		return "'" + cell
	}
	return cell
}
