package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// operation is something to measure, in the order in which they run.
type operation struct {
	name string
	run  func(b *bench, ctx context.Context) error
}

// operations lists what there is. Those that only read come before those that
// add people, so that a listing has as many as it says.
func operations() []operation {
	return []operation{
		{"signin", (*bench).passwordSignIn},
		{"alone", (*bench).signInAlone},
		{"mixed", (*bench).readersBesideSignIns},
		{"profile", (*bench).profile},
		{"list", (*bench).list},
		{"search", (*bench).search},
		{"connections", (*bench).openConnections},
		{"refresh", (*bench).refreshRS256},
		{"update", (*bench).update},
		{"create", (*bench).create},
		{"es256", (*bench).refreshES256},
		{"log", (*bench).log},
		{"start", (*bench).restart},
		{"million", (*bench).million},
	}
}

// floor notes a rate and whether it reaches the floor.
func (b *bench) floor(row string, s sample, floor float64) {
	b.note(row, s.rate() >= floor && s.errors == 0, "%s /s, p50 %s, p99 %s%s",
		count(s.rate()), short(s.at(0.5)), short(s.at(0.99)), s.trouble())
}

// trouble tells of answers that were no success, or "".
func (s sample) trouble() string {
	text := ""
	if s.refused > 0 {
		text += fmt.Sprintf(", %d refused as overloaded", s.refused)
	}
	if s.errors > 0 {
		text += fmt.Sprintf(", %d errors", s.errors)
	}
	return text
}

// signIns is a load of password sign-ins. Each comes from an address of its
// own, since one address may sign in 20 times a minute.
func (b *bench) signIns() load {
	var n atomic.Uint32
	return load{connections: connections, want: http.StatusOK, next: func(c, i int) []byte {
		k := n.Add(1)
		from := fmt.Sprintf("11.%d.%d.%d", byte(k>>16), byte(k>>8), byte(k))
		return signInRequest(b.cast.guests[of(len(b.cast.guests), connections, c, i)], from)
	}}
}

func signInRequest(p person, from string) []byte {
	return request("POST", "/auth/login", from, "", `{"email":"`+p.email+`","password":"`+guestPassword+`","token_delivery":"body"}`)
}

func (b *bench) passwordSignIn(ctx context.Context) error {
	b.floor("signin", b.measure(ctx, "signin", b.signIns()), 13)
	return nil
}

// signInAlone compares a sign-in on an idle server with the library's hash,
// by turns, so that both meet the same machine.
func (b *bench) signInAlone(ctx context.Context) error {
	stored, err := bcrypt.GenerateFromPassword([]byte(guestPassword), 12)
	if err != nil {
		return fmt.Errorf("hash with the library: %w", err)
	}
	link, err := dial(ctx, b.stack.fronts()[0], time.Now().Add(time.Minute))
	if err != nil {
		return err
	}
	defer link.Close()
	var library, ours []time.Duration
	for i := range 15 {
		began := time.Now()
		if err := bcrypt.CompareHashAndPassword(stored, []byte(guestPassword)); err != nil {
			return fmt.Errorf("hash with the library: %w", err)
		}
		library = append(library, time.Since(began))
		began = time.Now()
		r, err := link.do(signInRequest(b.cast.guests[i], fmt.Sprintf("12.0.0.%d", i)))
		if err != nil || r.status != http.StatusOK {
			return errors.Join(err, fmt.Errorf("sign in: %d %s", r.status, r.body))
		}
		ours = append(ours, time.Since(began))
	}
	slices.Sort(library)
	slices.Sort(ours)
	l, o := library[len(library)/2], ours[len(ours)/2]
	b.note("alone", o <= l+10*time.Millisecond, "%s (library %s)", short(o), short(l))
	return nil
}

func (b *bench) readersBesideSignIns(ctx context.Context) error {
	const readers = 8
	if err := b.signIn(ctx); err != nil {
		return err
	}
	gets := gets(b.cast.members, "/users/profile")
	var signed, read sample
	cpu := b.during(ctx, "mixed", b.settings.length(), func(w window) {
		done := make(chan struct{})
		go func() {
			signed = b.signIns().run(ctx, b.stack.fronts(), w)
			close(done)
		}()
		read = reading(readers, gets).run(ctx, b.stack.fronts(), w)
		<-done
	})
	b.keep("mixed, sign-ins", signed, cpu)
	b.keep("mixed, readers", read, cpu)
	b.note("mixed", read.at(0.99) < 50*time.Millisecond && read.errors+signed.errors == 0,
		"p99 %s at %s reads/s and %.1f sign-ins/s%s", short(read.at(0.99)), count(read.rate()), signed.rate(), read.trouble())
	return nil
}

func (b *bench) profile(ctx context.Context) error {
	if err := b.signIn(ctx); err != nil {
		return err
	}
	s := b.measure(ctx, "profile", reading(connections, gets(b.cast.members, "/users/profile")))
	b.floor("profile", s, 10_000)
	if s.at(0.99) >= 15*time.Millisecond {
		b.note("profile", false, "%s", b.figures["profile"].text)
	}
	return nil
}

// refreshes is a load in which each session exchanges its own token.
func (b *bench) refreshes() load {
	who := func(c, i int) *person { return &b.cast.members[of(len(b.cast.members), connections, c, i)] }
	return load{
		connections: connections, want: http.StatusOK,
		next: func(c, i int) []byte { return refreshRequest(who(c, i)) },
		took: func(c, i int, r reply, _ time.Duration) { who(c, i).take(r) },
	}
}

func (b *bench) refreshRS256(ctx context.Context) error {
	b.floor("refresh", b.measure(ctx, "refresh", b.refreshes()), 600)
	return nil
}

// refreshES256 changes the signing key by the command line, as an operator
// does.
func (b *bench) refreshES256(ctx context.Context) error {
	if err := b.stack.command(ctx, "key", "rotate", "--algorithm", "ES256", "--force"); err != nil {
		return err
	}
	for _, addr := range b.stack.fronts() {
		link, err := dial(ctx, addr, time.Now().Add(time.Minute))
		if err != nil {
			return err
		}
		defer link.Close()
		p := &b.cast.members[len(b.cast.members)-1]
		for limit := time.Now().Add(20 * time.Second); ; {
			if err := renew(link, p); err != nil {
				return err
			}
			head, _, _ := strings.Cut(p.access, ".")
			plain, _ := base64.RawURLEncoding.DecodeString(head)
			if strings.Contains(string(plain), "ES256") {
				break
			}
			if time.Now().After(limit) || ctx.Err() != nil {
				return errors.New("the new key is not used after 20 s")
			}
			pause(ctx, time.Second)
		}
	}
	b.floor("es256", b.measure(ctx, "es256", b.refreshes()), 2_000)
	return nil
}

func (b *bench) update(ctx context.Context) error {
	if err := b.signIn(ctx); err != nil {
		return err
	}
	s := b.measure(ctx, "update", load{connections: connections, want: http.StatusOK, next: func(c, i int) []byte {
		n := of(len(b.cast.members), connections, c, i)
		p := b.cast.members[n]
		body := fmt.Sprintf(`{"username":"member%d","first_name":"Ada","last_name":"Number %d","phone":"+4420%08d"}`, n, i, n)
		return request("PUT", "/users/profile", p.from, p.access, body)
	}})
	b.floor("update", s, 1_500)
	return nil
}

func (b *bench) create(ctx context.Context) error {
	if err := b.signIn(ctx); err != nil {
		return err
	}
	s := b.measure(ctx, "create", load{connections: connections, want: http.StatusCreated, next: func(c, i int) []byte {
		p := b.cast.staff[of(len(b.cast.staff), connections, c, i)]
		body := fmt.Sprintf(`{"email":"new.person.%d.%d@example.com","first_name":"New","last_name":"Person"}`, c, i)
		return request("POST", "/users", p.from, p.access, body)
	}})
	b.floor("create", s, 1_200)
	return nil
}
