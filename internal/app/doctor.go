package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/platform/cache/rediscache"
	"gatehouse/internal/platform/mail"
	"gatehouse/internal/platform/tlsfile"
)

// Verdict is how a check ended.
type Verdict string

// The verdicts. Warn is for what works and should not stay so, Fail for what
// keeps the program from starting or from its promises.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Finding is what one check of Diagnose found.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	Advice  string  `json:"advice,omitempty"` // what to do about it
}

const (
	probeTimeout = 5 * time.Second
	renewWithin  = 14 * 24 * time.Hour // of a certificate's end
)

// Diagnose examines what the program stands on, and yields each finding as it
// comes. It changes nothing: no key, table or row is made. Details hold no
// secret.
func Diagnose(ctx context.Context, cfg config.Config, o Options) iter.Seq[Finding] {
	d := &doctor{cfg: cfg, Options: o}
	if d.Now == nil {
		d.Now = time.Now
	}
	return func(yield func(Finding) bool) {
		for _, check := range []func(context.Context) []Finding{
			d.dataFolder, d.database, d.redis, d.mail, d.certificate,
		} {
			for _, f := range check(ctx) {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// doctor holds what the checks need.
type doctor struct {
	cfg config.Config
	Options
}

// strictly is Fail in production and Warn elsewhere.
func (d *doctor) strictly() Verdict {
	if d.cfg.Production() {
		return Fail
	}
	return Warn
}

func (d *doctor) dataFolder(context.Context) []Finding {
	const check = "data folder"
	dir := d.cfg.DataDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{{check, OK, dir + " does not exist yet; the first start makes it", ""}}
	case err != nil:
		return []Finding{{check, Fail, err.Error(), "give the program a folder of its own with GATEHOUSE_DATA_DIR"}}
	case !info.IsDir():
		return []Finding{{check, Fail, dir + " is not a folder", "give the program a folder of its own with GATEHOUSE_DATA_DIR"}}
	case info.Mode().Perm()&0o077 != 0:
		return []Finding{{check, d.strictly(), fmt.Sprintf("%s has mode %04o: others can look into it", dir, info.Mode().Perm()), "chmod 0700 " + dir}}
	}
	probe, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return []Finding{{check, Fail, "cannot write: " + err.Error(), "make the user that runs the program the owner of the folder"}}
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return []Finding{{check, Fail, err.Error(), "make the user that runs the program the owner of the folder"}}
	}
	return []Finding{{check, OK, fmt.Sprintf("%s, mode %04o", dir, info.Mode().Perm()), ""}}
}

func (d *doctor) redis(ctx context.Context) []Finding {
	const check = "redis"
	if d.cfg.RedisURL == "" {
		return []Finding{{check, OK, "not configured: the cache is in process", ""}}
	}
	r, err := rediscache.New(rediscache.Config{URL: d.cfg.RedisURL.Reveal(), RootCAs: d.RootCAs, Logger: d.Logger})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		err = r.Check(ctx)
	}
	if err != nil {
		return []Finding{{check, Warn, err.Error(), "see to the server and GATEHOUSE_REDIS_URL; until then Gatehouse is slower, and right all the same"}}
	}
	return []Finding{{check, OK, "takes writes", ""}}
}

func (d *doctor) mail(ctx context.Context) []Finding {
	const check = "mail"
	if d.cfg.Mail.SMTPURL == "" {
		f := Finding{check, OK, "not configured: mails become .eml files in the data folder", ""}
		if d.cfg.Production() {
			f.Verdict, f.Advice = Warn, "set GATEHOUSE_SMTP_URL, or nobody gets a mail"
		}
		return []Finding{f}
	}
	s, err := mail.NewSMTP(mail.SMTPConfig{
		URL: d.cfg.Mail.SMTPURL, From: d.cfg.Mail.From, AllowPlainLoopback: !d.cfg.Production(), RootCAs: d.RootCAs, Now: d.Now,
	})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		err = s.Check(ctx)
	}
	if err != nil {
		return []Finding{{check, Fail, err.Error(), "see to the server and GATEHOUSE_SMTP_URL; until then mails wait in the queue"}}
	}
	return []Finding{{check, OK, "the server lets Gatehouse in", ""}}
}

func (d *doctor) certificate(context.Context) []Finding {
	const check = "TLS certificate"
	if !d.cfg.TLS.Enabled() {
		return []Finding{{check, OK, "not configured: plain HTTP", ""}}
	}
	c, err := tlsfile.Load(d.cfg.TLS.CertFile, d.cfg.TLS.KeyFile, d.Logger)
	if err != nil {
		return []Finding{{check, Fail, err.Error(), "see to GATEHOUSE_TLS_CERT and GATEHOUSE_TLS_KEY"}}
	}
	f := Finding{check, OK, "valid until " + c.NotAfter().UTC().Format(time.DateOnly), ""}
	switch left := c.NotAfter().Sub(d.Now()); {
	case left <= 0:
		f.Verdict, f.Detail, f.Advice = Fail, "ran out on "+c.NotAfter().UTC().Format(time.DateOnly), "renew it; a running server reads the new files by itself"
	case left < renewWithin:
		f.Verdict, f.Advice = Warn, "renew it; a running server reads the new files by itself"
	}
	return []Finding{f}
}
