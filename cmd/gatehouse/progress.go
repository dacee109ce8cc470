package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"gatehouse/internal/platform/telemetry"
)

const (
	barWidth  = 30
	barEvery  = 100 * time.Millisecond
	lineEvery = 5 * time.Second
)

// progress shows on standard error how far long work has come: a bar that is
// drawn again on a terminal, a line now and then elsewhere. Work that ends
// soon shows nothing.
type progress struct {
	w     io.Writer
	what  string // such as "keys rewrapped"
	bar   bool
	now   func() time.Time
	shown time.Time
	drawn bool
}

func newProgress(w io.Writer, what string) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, what: what, bar: ok && telemetry.IsTerminal(f), now: time.Now, shown: time.Now()}
}

// Update says that done of total pieces are done. 0 is an unknown total.
func (p *progress) Update(done, total int64) {
	every := lineEvery
	if p.bar {
		every = barEvery
	}
	if p.now().Sub(p.shown) < every {
		return
	}
	p.shown, p.drawn = p.now(), true
	p.show(done, total)
}

// End takes the bar away, so that what follows stands on a line of its own.
func (p *progress) End() {
	if p.bar && p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func (p *progress) show(done, total int64) {
	switch {
	case p.bar && total > 0:
		full := int(min(done, total) * barWidth / total)
		fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %3d%% %d of %d %s", strings.Repeat("#", full), strings.Repeat(" ", barWidth-full),
			min(done, total)*100/total, done, total, p.what)
	case p.bar:
		fmt.Fprintf(p.w, "\r\x1b[K%d %s", done, p.what)
	case total > 0:
		fmt.Fprintf(p.w, "%d of %d %s\n", done, total, p.what)
	default:
		fmt.Fprintf(p.w, "%d %s\n", done, p.what)
	}
}
