package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"simusage/load"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden wants a text to be that of a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; if that is right, go test ./cmd/simusage -update%s", path, firstDifference(strings.Split(got, "\n"), strings.Split(string(want), "\n")))
	}
}

// on is a time of the tests' days: "2026-03-10 12:00".
func on(text string) time.Time {
	at, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return at
}

func at(text string) *time.Time {
	t := on(text)
	return &t
}

// wellState is a warehouse in which all is well, of two accounts.
func wellState() load.Status {
	sid := "AC0123456789abcdef0123456789abcdef"
	s := load.Status{Failures: []load.Failure{}, Held: []load.HeldSlice{}, RejectedByReason: map[string]int64{}, Drift: []load.DriftStatus{},
		LastRun: &load.LastRun{ID: 712, Command: "sync", StartedAt: on("2026-03-10 12:07"), FinishedAt: at("2026-03-10 12:07"), Outcome: "done"}}
	for _, account := range []string{"emea", "main"} {
		s.Accounts = append(s.Accounts, load.AccountStatus{Account: account, AccountSID: &sid, NamesAt: at("2026-03-10 08:07")})
		for _, name := range []string{"hour/country", "hour/sim@country", "hour/total"} {
			st := load.StreamStatus{Account: account, AccountSID: &sid, Stream: name, Read: true, CompleteUntil: at("2026-03-10 12:00"), SettledUntil: at("2026-03-07 00:00"),
				NewestPeriod: at("2026-03-10 11:00"), LastSuccessAt: at("2026-03-10 12:07"), Reconciled: 30}
			if name == "hour/total" {
				st.Reconciled = 0
			}
			s.Streams = append(s.Streams, st)
		}
	}
	return s
}

// illState is a warehouse in which everything is wrong that can be.
func illState() load.Status {
	s, why, forgets := wellState(), "read page 1: 401, the credentials are refused", 12
	s.LastRun.Outcome, s.LastRun.Error, s.LastRun.StartedAt, s.LastRun.FinishedAt = "failed", &why, on("2026-03-08 07:07"), at("2026-03-08 07:08")
	s.Accounts[0].NamesAt = at("2026-03-05 12:07")
	holes, off, old := &s.Streams[1], &s.Streams[3], &s.Streams[4]
	holes.CompleteUntil, holes.Holes, holes.OldestHole, holes.HolesUntil, holes.DaysUntilWall = at("2024-09-29 00:00"), 4, at("2024-09-29 00:00"), at("2024-10-03 00:00"), &forgets
	off.Unreconciled, off.Unattributed, off.UnreconciledFrom, off.UnreconciledUntil = 3, 1, at("2026-03-01 00:00"), at("2026-03-05 00:00")
	old.Read, old.CompleteUntil, old.Stream = false, at("2025-06-01 00:00"), "hour/sim"
	for d := range 13 {
		s.Failures = append(s.Failures, load.Failure{Account: "main", Stream: "hour/country", Window: on("2026-03-08 00:00").AddDate(0, 0, -d), End: on("2026-03-09 00:00").AddDate(0, 0, -d),
			Times: 1 + d, At: on("2026-03-08 07:07"), Error: "read page 1: 503, no JSON"})
	}
	s.Failed = 13
	s.Held = []load.HeldSlice{
		{Account: "emea", Stream: "hour/total", Window: on("2026-03-06 00:00"), End: on("2026-03-07 00:00"), Since: on("2026-03-08 06:07"), Rows: 24, NowRows: 1, NowBytes: 5},
		{Account: "emea", Stream: "hour/country", Window: on("2026-03-02 00:00"), End: on("2026-03-03 00:00"), Since: on("2026-03-08 06:07"), Rows: 24, Accepted: true},
	}
	s.HeldBack = 2
	s.Rejected, s.RejectedByReason["not an object"], s.RejectedByReason["data_total is negative"] = 3, 1, 2
	s.Drift = []load.DriftStatus{{Account: "main", Resource: "usage_records", Field: "carrier", Kind: "new", FirstSeenAt: on("2026-03-01 07:07"), LastSeenAt: on("2026-03-08 07:07")}}
	return s
}

// What status says at three in the morning.
func TestStatusForPeople(t *testing.T) {
	t.Parallel()
	partly := wellState()
	partly.Streams, partly.LastRun.Outcome = partly.Streams[:3], "running"
	partly.LastRun.FinishedAt = nil
	for i := range partly.Streams {
		partly.Streams[i].Holes, partly.Streams[i].OldestHole, partly.Streams[i].HolesUntil = 20, at("2026-02-08 00:00"), at("2026-02-28 00:00")
		partly.Streams[i].CompleteUntil, partly.Streams[i].SettledUntil = at("2026-02-08 00:00"), at("2026-02-08 00:00")
	}
	plain := func(_ color, text string) string { return text }
	tags := func(c color, text string) string { return "<" + string(c) + ">" + text + "</>" }
	var all strings.Builder
	for _, c := range []struct {
		name  string
		state load.Status
		paint func(color, string) string
	}{
		{"empty", load.Status{}, plain}, {"well", wellState(), plain}, {"the first load", partly, plain}, {"ill", illState(), plain}, {"ill, in colours", illState(), tags},
	} {
		j := judge(c.state, noon, on("2026-02-08 00:00"), time.Hour)
		fmt.Fprintf(&all, "=== %s\n", c.name)
		if err := writeStatus(&all, j, c.paint); err != nil {
			t.Fatal(err)
		}
		if j.OK != !slices.ContainsFunc(j.Problems, func(p problem) bool { return p.Wrong }) {
			t.Errorf("%s: ok is %v", c.name, j.OK)
		}
	}
	golden(t, "status.txt", all.String())
	for line := range strings.Lines(all.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 && !strings.Contains(line, "<") && !strings.Contains(line, "; complete until ") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// The shape of status --json is a promise: what stands in testdata/status.fields stays, and is what --help says and what is
// written.
func TestStatusForMachines(t *testing.T) {
	t.Parallel()
	documented := statusFields()
	before, err := os.ReadFile("testdata/status.fields")
	if err != nil && !*update {
		t.Fatal(err)
	}
	shape := func(line string) string {
		return strings.Join(regexp.MustCompile(`\s{2,}`).Split(strings.TrimSpace(line), 3)[:2], " ")
	}
	var promised, told []string
	for line := range strings.Lines(documented) {
		told = append(told, shape(line))
	}
	for line := range strings.Lines(string(before)) {
		if promised = append(promised, shape(line)); !slices.Contains(told, promised[len(promised)-1]) {
			t.Errorf("status --json had %s", line) // also with -update: somebody reads it
		}
	}
	if t.Failed() {
		return
	}
	golden(t, "status.fields", documented)
	if help := (&bench{t: t}).must(0, "status", "--help").stdout; !strings.Contains(help, documented) {
		t.Error("status --help does not document --json")
	}

	var written bytes.Buffer
	if err := json.NewEncoder(&written).Encode(judge(illState(), noon, on("2026-02-08 00:00"), time.Hour)); err != nil {
		t.Fatal(err)
	}
	if well, err := json.Marshal(judge(wellState(), noon, on("2026-02-08 00:00"), time.Hour)); err != nil || !strings.HasPrefix(string(well), `{"ok":true,"verdict":"complete until `) || !strings.Contains(string(well), `"problems":[],`) {
		t.Errorf("when all is well: %s, %v", well, err)
	}
	var value any
	if err := json.Unmarshal(written.Bytes(), &value); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	fieldsOf(value, "", found)
	for line := range strings.Lines(documented) {
		name := strings.Fields(line)[0]
		if len(strings.Fields(line)) < 3 || !found[name] {
			t.Errorf("%s is not written, or has no meaning", name)
		}
		delete(found, name)
	}
	for name := range found {
		t.Errorf("%s is written and not documented", name)
	}
}

// fieldsOf notes the paths of all fields of a JSON value, as the documentation writes them.
func fieldsOf(value any, path string, found map[string]bool) {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			fieldsOf(v, path, found)
		}
	case map[string]any:
		for name, v := range value {
			at := strings.TrimPrefix(path+"."+name, ".")
			switch v.(type) {
			case []any:
				at += "[]"
			case map[string]any:
				if name == "rejected_by_reason" {
					found[at+"{}"] = true
					continue
				}
			}
			found[at] = true
			fieldsOf(v, at, found)
		}
	}
}

// Colours are for people at a terminal who did not say that they want none.
func TestColours(t *testing.T) {
	t.Parallel()
	tty, _ := pseudoTerminal(t)
	for _, c := range []struct {
		env  env
		want string
	}{
		{nil, "\x1b[31mx\x1b[0m"}, {env{"NO_COLOR": "1"}, "x"}, {env{"NO_COLOR": ""}, "\x1b[31mx\x1b[0m"}, {env{"TERM": "dumb"}, "x"},
	} {
		b := &bench{t: t, env: c.env}
		if got := b.program(nil, nil).painter(tty)(red, "x"); got != c.want {
			t.Errorf("%v: %q, want %q", c.env, got, c.want)
		}
		if got := b.program(nil, nil).painter(&bytes.Buffer{})(red, "x"); got != "x" {
			t.Errorf("%v: %q to a pipe", c.env, got)
		}
	}
}
