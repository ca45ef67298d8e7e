package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
)

// The records that are set aside, as a table and as JSON Lines, and what status says of them.
func TestRejected(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 6}, fakeapi.Options{})
	if r := b.must(0, "rejected"); r.stdout != "No record is set aside.\n" {
		t.Errorf("rejected says %q of an empty warehouse", r.stdout)
	}
	if r := b.must(0, "rejected", "--json"); r.stdout != "" {
		t.Errorf("rejected --json says %q of an empty warehouse", r.stdout)
	}
	long := `{"data_total": -1, "note": "<` + strings.Repeat("ä", 100) + ">\u009b\"}"
	onTotals := func(r *http.Request) bool {
		q := r.URL.Query()
		return q.Get("StartTime") < "2026-03-09" && q.Get("EndTime") > "2026-03-08T00:00:00Z" && q.Get("Group") == ""
	}
	b.api.Inject(fakeapi.Fault{Every: 1, Match: onTotals, Do: fakeapi.BadRow("7")}, fakeapi.Fault{Every: 1, Match: onTotals, Do: fakeapi.BadRow(long)})
	if r := b.must(0, "sync"); !strings.Contains(r.stdout, "; 2 records set aside;") {
		t.Errorf("sync says %q", r.stdout)
	}
	before := b.counts()
	table := b.must(0, "rejected").stdout
	for _, want := range []string{"read at ", "hour/total 2026-03-08  -     not an object ", "data_total is no whole number of bytes  {\"data_total\": -1, \"note\": \"<ää"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not have %q:\n%s", want, table)
		}
	}
	if strings.Count(table, "\n") != 3 || strings.Contains(table, "\u009b") || strings.Contains(table, strings.Repeat("ä", 60)) {
		t.Errorf("the table is\n%s", table)
	}
	lines := b.must(0, "rejected", "--json", "--since", "2026-03-08").stdout
	var reasons []string
	for line := range strings.Lines(lines) {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seen, err := time.Parse(time.RFC3339, fmt.Sprint(got["seen_at"]))
		if err != nil || time.Since(seen).Abs() > time.Hour || len(got) != 8 {
			t.Errorf("%q: %v", line, err)
		}
		if got["account"] != "" || got["account_sid"] != b.world.AccountSID() || got["stream"] != "hour/total" || got["list_value"] != "" || got["window_start"] != "2026-03-08T00:00:00Z" {
			t.Errorf("record %v", got)
		}
		if raw := got["raw"]; raw != "7" && raw != long {
			t.Errorf("raw text %q", raw)
		}
		reasons = append(reasons, fmt.Sprint(got["reason"]))
	}
	if len(reasons) != 2 || !strings.Contains(lines, `"raw":"7"`) || !strings.Contains(lines, "<ä") {
		t.Errorf("JSON Lines of %q:\n%s", reasons, lines)
	}
	if r := b.must(0, "rejected", "--json", "--since", "2999-01-01"); r.stdout != "" {
		t.Errorf("rejected says %q of the far future", r.stdout)
	}
	if after := b.counts(); !slices.Equal(after, before) {
		t.Errorf("the warehouse has %s, it had %s", after, before)
	}
	b.saysInStatus("! 2 records set aside, not understood\n    1: data_total is no whole number of bytes\n    1: not an object\n    run: simusage rejected\n",
		"new usage_records: note", "names read at: 2026-03-10 12:07\n")
}

// saysInStatus wants texts in status, and the same numbers in its JSON.
func (b *bench) saysInStatus(texts ...string) {
	b.t.Helper()
	said := b.must(0, "status").stdout
	for _, want := range texts {
		if !strings.Contains(said, want) {
			b.t.Errorf("status does not say %q:\n%s", want, said)
		}
	}
	var status struct {
		Accounts []map[string]any `json:"accounts"`
		Rejected int              `json:"rejected"`
		ByReason map[string]int   `json:"rejected_by_reason"`
		Drift    []map[string]any `json:"drift"`
	}
	if err := json.Unmarshal([]byte(b.must(0, "status", "--json").stdout), &status); err != nil {
		b.t.Fatal(err)
	}
	if status.Rejected != 2 || len(status.ByReason) != 2 || status.ByReason["not an object"] != 1 {
		b.t.Errorf("set aside: %d, %v", status.Rejected, status.ByReason)
	}
	if a := status.Accounts; len(a) != 1 || a[0]["account"] != "" || a[0]["account_sid"] != b.world.AccountSID() || a[0]["names_at"] != "2026-03-10T12:07:00Z" {
		b.t.Errorf("accounts: %v", a)
	}
	if d := status.Drift; len(d) != 1 || d[0]["kind"] != "new" || d[0]["field"] != "note" || d[0]["first_seen_at"] == nil {
		b.t.Errorf("drift: %v", d)
	}
}

func TestRejectedIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 6}, fakeapi.Options{})
	for _, args := range [][]string{{"--since", "yesterday"}, {"--since=8.3.2026"}, {"all"}, {"--csv"}} {
		r := b.must(2, append([]string{"rejected"}, args...)...)
		if r.stdout != "" || len(r.complaints()) != 1 {
			t.Errorf("rejected %v says %q and %q", args, r.stdout, r.complaints())
		}
	}
	b.with(env{"DATABASE_URL": ""}).must(2, "rejected")
	b.exec(`DELETE FROM simusage.view_install`)
	b.must(2, "rejected")
}

// A table of any length needs the memory of a part of it, and its lines reach the reader before the end.
func TestRejectedTableIsWrittenAsItComes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	records := func(n int) iter.Seq2[*load.Rejected, error] {
		return func(yield func(*load.Rejected, error) bool) {
			for i := range n {
				if waiting := i - bytes.Count(out.Bytes(), []byte("\n")); waiting > tableBlock {
					t.Fatalf("%d lines of %d are kept back", waiting, i)
				}
				if !yield(&load.Rejected{Stream: "hour/total", Reason: "odd", Raw: strings.Repeat("x", i%100)}, nil) {
					return
				}
			}
			yield(nil, fmt.Errorf("connection lost"))
		}
	}
	if err := writeRejected(&out, records(3*tableBlock)); err == nil || bytes.Count(out.Bytes(), []byte("\n")) < 3*tableBlock {
		t.Errorf("%d lines, %v", bytes.Count(out.Bytes(), []byte("\n")), err)
	}
}
