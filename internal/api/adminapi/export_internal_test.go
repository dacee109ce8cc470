package adminapi

import (
	"testing"

	"gatehouse/internal/audit"
)

func TestExportFormat(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"": "", "*/*": "", "application/json": "", "application/json, text/csv": "", "image/png": "",
		"text/csv": "text/csv; charset=utf-8; header=present", "image/png, Text/CSV;q=0.9": "text/csv; charset=utf-8; header=present",
		"application/x-ndjson": "application/x-ndjson",
	} {
		if f, ok := exportFormat(accept); f.contentType != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", accept, f.contentType, ok)
		}
	}
}

func TestHarmless(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"": "", "a=b": "a=b", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "\x00": "'\x00",
	} {
		if got := harmless(cell); got != want {
			t.Errorf("%q: %q", cell, got)
		}
	}
}

func TestProofFrom_NamesTheFirstBrokenEntry(t *testing.T) {
	t.Parallel()
	got := proofFrom(audit.Proof{Faults: []audit.Fault{
		{Breach: audit.EntryUnknown}, {Breach: audit.HeadInvalid, Position: 9}, {Breach: audit.EntryAltered, Position: 4},
	}})
	if got.OK || got.Broken.Breach != audit.EntryAltered || *got.Broken.Position != 4 || got.Broken.EntryID != nil || got.Head != nil {
		t.Errorf("%+v", got)
	}
}
