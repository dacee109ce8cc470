package main

import (
	"bytes"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		bar   bool
		total int64
		step  time.Duration
		want  string
	}{
		"bar":                  {bar: true, total: 4, step: time.Second, want: "\r\x1b[K[###############               ]  50% 2 of 4 keys\r\x1b[K[##############################] 100% 4 of 4 keys\r\x1b[K"},
		"bar without an end":   {bar: true, step: time.Second, want: "\r\x1b[K2 keys\r\x1b[K4 keys\r\x1b[K"},
		"lines":                {total: 4, step: time.Minute, want: "2 of 4 keys\n4 of 4 keys\n"},
		"lines without an end": {step: time.Minute, want: "2 keys\n4 keys\n"},
		"quick work":           {bar: true, total: 4, step: time.Millisecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			now := time.Now()
			p := newProgress(&out, "keys")
			p.bar, p.shown, p.now = tt.bar, now, func() time.Time { return now }
			for done := int64(2); done <= 4; done += 2 {
				now = now.Add(tt.step)
				p.Update(done, tt.total)
				p.Update(done, tt.total) // too soon
			}
			p.End()
			if out.String() != tt.want {
				t.Errorf("%q, want %q", out.String(), tt.want)
			}
		})
	}
}
