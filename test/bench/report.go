package main

import (
	"context"
	_ "embed"
	"fmt"
	"runtime"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"gatehouse/internal/password"
)

// report is a whole run.
type report struct {
	machine  machine
	settings settings
	began    time.Time
	hashes   []hashRate
	figures  map[string]map[string]figure // by stack and row
	details  []detail
}

// rows are those of the table: the key of their figures, what they measure,
// and the floor.
func rows() [][3]string {
	return [][3]string{
		{"signin", "password sign-in, bcrypt 12, 32 in flight", "13 /s"},
		{"alone", "one password sign-in alone", "the library's hash + 10 ms"},
		{"profile", "access-token check and own profile", "10,000 /s, p99 < 15 ms; goal 13,000"},
		{"refresh", "refresh with rotation, RS256", "600 /s"},
		{"es256", "refresh with rotation, ES256", "2,000 /s"},
		{"update", "profile update with its log entry", "1,500 /s"},
		{"create", "create a person without a password, with the log entry", "1,200 /s"},
		{"list", "list 50 of 10,000, first page", "1,800 /s"},
		{"last", "list 50 of 10,000, last page", "90 % of the first"},
		{"search", "search by fragment among 10,000", "800 /s"},
		{"million", "list and search among 1,000,000", "p95 < 50 ms"},
		{"mixed", "8 profile readers beside 32 sign-ins in flight", "readers' p99 < 50 ms"},
		{"connections", "10,000 open connections, 500 requests/s", "p99 < 60 ms, 0 errors, < 250 MB"},
		{"start", "start to ready", "< 0.3 s on existing data, < 1 s empty"},
		{"memory", "resident memory, idle", "< 50 MB"},
		{"log", "the log after all this", "sealed and whole"},
	}
}

// table is the table of figures.
func (r report) table() string {
	cells := [][]string{{"operation", "floor", "embedded", "", "PostgreSQL + Redis", ""}}
	for _, row := range rows() {
		line := []string{row[1], row[2]}
		for _, stack := range []string{embedded, production} {
			f, ok := r.figures[stack][row[0]]
			switch {
			case !ok:
				line = append(line, "not measured", "")
			case f.met:
				line = append(line, f.text, "met")
			default:
				line = append(line, f.text, "**missed**")
			}
		}
		cells = append(cells, line)
	}
	return markdown(cells)
}

// loads is the table of every load with what it cost.
func (r report) loads() string {
	cells := [][]string{{"stack", "load", "/s", "p50", "p95", "p99", "refused", "errors", "CPU/request", "server", "database", "Redis", "clients", "elsewhere"}}
	percent := func(f float64) string { return fmt.Sprintf("%.0f %%", 100*f) }
	for _, d := range r.details {
		s := d.sample
		cells = append(cells, []string{
			d.stack, d.name, count(s.rate()), short(s.at(0.5)), short(s.at(0.95)), short(s.at(0.99)),
			fmt.Sprint(s.refused), fmt.Sprint(s.errors), short(s.cost()), percent(s.cpu.server), percent(s.cpu.database),
			percent(s.cpu.redis), percent(s.cpu.clients), percent(s.cpu.elsewhere),
		})
	}
	return markdown(cells)
}

// markdown lays out a table whose first line is its head.
func markdown(cells [][]string) string {
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), len("---"))
		}
	}
	var b strings.Builder
	for n, line := range cells {
		for i, cell := range line {
			fmt.Fprintf(&b, "| %s%s ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, w := range widths {
				b.WriteString("|" + strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

//go:embed page.md.tmpl
var page string

// page is the page of documentation.
func (r report) page() string {
	var b strings.Builder
	err := template.Must(template.New("page").Parse(page)).Execute(&b, map[string]any{
		"Table": r.table(), "Loads": r.loads(), "Hashes": r.hashTable(), "Machine": r.machine, "Go": runtime.Version(),
		"Date": r.began.UTC().Format(time.DateOnly), "Seconds": r.settings.seconds,
	})
	if err != nil {
		panic("bench: page: " + err.Error()) // only for a mistake in the template
	}
	return b.String()
}

// hashRate is how many passwords a second one core hashes in one way.
type hashRate struct {
	name string
	rate float64
}

// measureHashes measures ways to hash a password on one core: those of
// Gatehouse, and argon2id for comparison.
func measureHashes(ctx context.Context) ([]hashRate, error) {
	const most = 12
	var list []hashRate
	for t, err := range password.Calibrate(ctx) {
		if err != nil {
			return nil, fmt.Errorf("measure hashing: %w", err)
		}
		if t.Cost > most {
			break
		}
		if t.Lanes != 2 {
			list = append(list, hashRate{fmt.Sprintf("bcrypt cost %d, %d at once", t.Cost, t.Lanes), t.PerSecond()})
		}
	}
	salt := []byte("sixteen bytes...")
	for _, a := range []struct{ passes, mib uint32 }{{2, 19}, {1, 46}, {3, 64}} {
		const rounds = 10
		began := time.Now()
		for range rounds {
			argon2.IDKey([]byte(guestPassword), salt, a.passes, a.mib<<10, 1, 32)
		}
		list = append(list, hashRate{
			fmt.Sprintf("argon2id, %d MiB, %d passes", a.mib, a.passes), rounds / time.Since(began).Seconds(),
		})
	}
	return list, nil
}

func (r report) hashTable() string {
	cells := [][]string{{"hash", "passwords/s per core"}}
	for _, h := range r.hashes {
		cells = append(cells, []string{h.name, fmt.Sprintf("%.1f", h.rate)})
	}
	return markdown(cells)
}

// short shows a duration with three digits or so.
func short(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	switch {
	case ms < 1:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// count shows a rate: 13.4, 940, 13,412.
func count(f float64) string {
	if f < 100 {
		return fmt.Sprintf("%.1f", f)
	}
	text := fmt.Sprintf("%.0f", f)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
