package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// fragments that people search by: some match a handful, some match thousands.
func selective() []string {
	return []string{"turing12", "hopper7", "grace.gray", "shannon4", "lovelace1", "knuth99", "zelda.zuse", "kahn33"}
}

func common() []string { return []string{"example.com", "son", "ada", "staff", "er", "Wilson"} }

const firstPage = "/users?limit=50"

func (b *bench) list(ctx context.Context) error {
	if err := b.signIn(ctx); err != nil {
		return err
	}
	first := b.measure(ctx, "list, first page", reading(connections, gets(b.cast.staff, firstPage)))
	b.floor("list", first, 1_800)
	last, err := b.lastPage()
	if err != nil {
		return err
	}
	s := b.measure(ctx, "list, last page", reading(connections, gets(b.cast.staff, last)))
	b.note("last", s.rate() >= 0.9*first.rate() && s.errors == 0, "%s /s, %.0f %% of the first%s",
		count(s.rate()), 100*s.rate()/first.rate(), s.trouble())
	return nil
}

// lastPage follows the cursors to the last page of 50.
func (b *bench) lastPage() (string, error) {
	link, err := dial(context.Background(), b.stack.fronts()[0], time.Now().Add(time.Minute))
	if err != nil {
		return "", err
	}
	defer link.Close()
	path := firstPage
	for page := 0; ; page++ {
		p := b.cast.staff[page%len(b.cast.staff)]
		r, err := link.do(request("GET", path, p.from, p.access, ""))
		if err != nil {
			return "", err
		}
		if r.status != http.StatusOK {
			return "", fmt.Errorf("list: %d %s", r.status, r.body)
		}
		cursor := field(r.body, "next_cursor")
		if cursor == "" {
			return path, nil
		}
		path = firstPage + "&cursor=" + url.QueryEscape(cursor)
	}
}

func (b *bench) search(ctx context.Context) error {
	if err := b.signIn(ctx); err != nil {
		return err
	}
	few := b.measure(ctx, "search, selective", b.searches(selective()))
	many := b.measure(ctx, "search, common", b.searches(common()))
	b.note("search", min(few.rate(), many.rate()) >= 800 && few.errors+many.errors == 0,
		"selective %s /s, p99 %s%s; common %s /s, p99 %s%s",
		count(few.rate()), short(few.at(0.99)), few.trouble(), count(many.rate()), short(many.at(0.99)), many.trouble())
	return nil
}

// searches is a load of searches for one fragment after the other.
func (b *bench) searches(fragments []string) load {
	var requests [][]byte
	for i, p := range b.cast.staff {
		path := firstPage + "&q=" + url.QueryEscape(fragments[i%len(fragments)])
		requests = append(requests, request("GET", path, p.from, p.access, ""))
	}
	l := reading(connections, requests)
	// Staff and connections are multiples of each other: shift by the round, so
	// that each connection sends every fragment.
	l.next = func(c, i int) []byte {
		n := of(len(requests), connections, c, i)
		return requests[n-n%connections+(c+i)%connections]
	}
	return l
}

// crowdSize is how many people the large listing has.
const crowdSize = 1_000_000

// million measures listing and search on an installation of its own.
func (b *bench) million(ctx context.Context) error {
	if b.stack.name == embedded {
		return nil
	}
	b.stack.stop()
	if err := b.open(ctx, "million"); err != nil {
		return err
	}
	progress("adding people up to %d", crowdSize)
	if err := crowd(ctx, b.stack, crowdSize); err != nil {
		return err
	}
	if _, err := b.stack.start(ctx); err != nil {
		return err
	}
	if err := b.signIn(ctx); err != nil {
		return err
	}
	worst, text, failed := time.Duration(0), "", 0
	for _, part := range []struct {
		name string
		load load
	}{
		{"first page", reading(connections, gets(b.cast.staff, firstPage))},
		{"oldest first", reading(connections, gets(b.cast.staff, firstPage+"&sort=created_at"))},
		{"by address", reading(connections, gets(b.cast.staff, firstPage+"&sort=email"))},
		{"selective search", b.searches(selective())},
		{"common search", b.searches(common())},
	} {
		s := b.measure(ctx, "million, "+part.name, part.load)
		worst = max(worst, s.at(0.95))
		failed += s.errors
		text += fmt.Sprintf(", %s %s", part.name, short(s.at(0.95)))
	}
	b.note("million", worst < 50*time.Millisecond && failed == 0, "p95: %s", text[2:])
	return nil
}
