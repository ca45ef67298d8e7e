package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
	"simusage/load/pgtest"
)

// The commands of deploy/RUNBOOK.md are run as they stand there, chapter by chapter, so that text and truth cannot part. Those that
// need programs which not every machine has are in pooled_test.go and restored_test.go (make runbook-check).

// runbook is the blocks of commands of one chapter.
func runbook(t *testing.T, chapter string) []string {
	t.Helper()
	blocks := runbookBlocks(t)[chapter]
	if len(blocks) == 0 {
		t.Fatalf("deploy/RUNBOOK.md has no commands in a chapter %q", chapter)
	}
	return blocks
}

func runbookBlocks(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for _, chapter := range strings.Split(string(text), "\n## ")[1:] {
		title, _, _ := strings.Cut(chapter, "\n")
		for _, block := range regexp.MustCompile("(?s)```[a-z]+\n(.*?)```").FindAllStringSubmatch(chapter, -1) {
			found[title] = append(found[title], block[1])
		}
	}
	return found
}

// follow runs a block of shell commands: simusage in this process, everything else by the shell. It wants the exit codes of the
// calls of simusage, in turn; what is not said is 0. A value with … is the reader's own, and stays what the bench has.
func (b *bench) follow(block string, codes ...int) {
	b.t.Helper()
	for line := range strings.Lines(block) {
		words := strings.Fields(line)
		switch words[0] {
		case "export":
			for _, word := range words[1:] {
				name, value, _ := strings.Cut(word, "=")
				if !strings.Contains(value, "…") {
					b.env[name] = os.Expand(strings.Trim(value, `'"`), func(name string) string { return b.env[name] })
				}
			}
		case "unset":
			for _, name := range words[1:] {
				b.env[name] = ""
			}
		case "simusage":
			code := 0
			if len(codes) > 0 {
				code, codes = codes[0], codes[1:]
			}
			b.must(code, words[1:]...)
		default:
			cmd := exec.CommandContext(b.t.Context(), "sh", "-c", line)
			cmd.Env, cmd.Dir = append(os.Environ(), "PATH="+os.Getenv("SIMUSAGE_PGBIN")+":"+os.Getenv("PATH")), b.env["HERE"]
			for name, value := range b.env {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				b.t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
	}
}

// asks runs a block of SQL, statement by statement: some take no company.
func (b *bench) asks(block string) {
	b.t.Helper()
	for statement := range strings.SplitSeq(strings.TrimSpace(block), ";\n") {
		b.exec(statement)
	}
}

// Every chapter with commands is run by some test.
func TestRunbookIsRun(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	run := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range regexp.MustCompile(`runbook\(t, "([^"]+)"\)`).FindAllStringSubmatch(string(text), -1) {
			run[call[1]] = true
		}
	}
	for chapter := range runbookBlocks(t) {
		if !run[chapter] {
			t.Errorf("no test runs the commands of %q", chapter)
		}
	}
}

func TestRunbookFirstLoad(t *testing.T) {
	t.Parallel()
	b := newBench(t, pgtest.Template{}, fakeapi.WorldConfig{Seed: 31}, fakeapi.Options{})
	b.env["SIMUSAGE_SINCE"] = ""
	for _, block := range runbook(t, "First load") {
		b.follow(block)
	}
	b.equal(b.world)
	// The two ranges meet: nothing is missing between them, and nothing left to do.
	if holes := b.query(`SELECT stream FROM usage.freshness WHERE holes > 0 OR complete_until < '2026-03-10 12:00Z'`); len(holes) > 0 {
		t.Errorf("not complete: %v", holes)
	}
	if gaps := b.query(`SELECT FROM (SELECT window_start - lag(window_end) OVER (PARTITION BY stream_id ORDER BY window_start) AS gap FROM simusage.slice) s WHERE gap <> interval '0'`); len(gaps) > 0 {
		t.Errorf("%d gaps between slices", len(gaps))
	}
}

func TestRunbookUpgrade(t *testing.T) {
	t.Parallel()
	b := newBench(t, pgtest.Template{}, fakeapi.WorldConfig{Seed: 32}, fakeapi.Options{})
	blocks := runbook(t, "Upgrade")
	b.follow(blocks[0])
	b.follow(blocks[1])
	if r := b.must(2, "sync"); !strings.Contains(r.stderr, "run: simusage migrate") {
		t.Errorf("after the way back, sync says %s", r.stderr)
	}
	b.must(0, "migrate")
	b.must(0, "sync")
	b.equal(b.world)
	b.must(0, "migrate", "--to=1") // the whole way: usage is still there
	b.must(0, "migrate")
	b.must(0, "sync")
	b.equal(b.world)

	// The page says of each way back what it loses.
	text, err := os.ReadFile("../../deploy/RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]bool)
	for _, row := range regexp.MustCompile(`(?m)^\| (\d[\d, ]*) \|`).FindAllStringSubmatch(string(text), -1) {
		for n := range strings.SplitSeq(row[1], ", ") {
			told[n] = true
		}
	}
	ups, err := filepath.Glob("../../migrations/*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(ups); n++ {
		if !told[fmt.Sprint(n)] {
			t.Errorf("deploy/RUNBOOK.md does not say what the way back to %d loses", n)
		}
	}
}

func TestRunbookMove(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 8, Start: on("2026-03-07 00:00"), End: on("2026-03-20 00:00")}, fakeapi.Options{})
	// The other vendor shows the same SIMs and all their usage, also that of the past, under another account.
	other := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 8, Sims: 6, AccountSID: "AC" + strings.Repeat("e", 32), Start: on("2026-03-07 00:00"), End: on("2026-03-20 00:00")})
	twilio, plain, own := b.env["SIMUSAGE_BASE_URL"], b.kore(other, ""), b.kore(other, "KORE_")
	b.must(0, "sync")
	blocks := runbook(t, "From Twilio to KORE")
	b.env["SIMUSAGE_BASE_URL"], b.env["SIMUSAGE_TOKEN_URL"] = plain["SIMUSAGE_BASE_URL"], plain["SIMUSAGE_TOKEN_URL"]
	b.env["KORE_CLIENT_ID"], b.env["KORE_CLIENT_SECRET"] = plain["KORE_CLIENT_ID"], plain["KORE_CLIENT_SECRET"]
	b.follow(blocks[0], 2)

	maps.Copy(b.env, own)
	b.env["SIMUSAGE_BASE_URL"], b.env["SIMUSAGE_TOKEN_URL"], b.env["TWILIO_SIMUSAGE_BASE_URL"] = "", "", twilio
	b.follow(blocks[1])
	for _, now := range []string{"2026-03-11 13:07", "2026-03-14 13:07"} {
		b.now = on(now)
		b.must(0, "sync")
	}
	b.must(0, "backfill", "--from=2026-03-07", "--to=2026-03-14", "--again") // also by hand, nothing comes twice
	b.countedOnce()

	b.now = on("2026-03-16 13:07")
	b.follow(blocks[2])
	b.countedOnce()
	status := b.must(0, "status").stdout
	if !strings.HasPrefix(status, "complete until 2026-03-16 13:00 UTC (7 minutes ago)") || strings.Contains(status, "\n!") ||
		!strings.Contains(status, "nothing of twilio is asked for from 2026-03-11 on\n") {
		t.Errorf("status says\n%s", status)
	}
	if told := b.completeUntil(); !slices.Equal(told, []string{"kore hour/country", "kore hour/sim@country", "kore hour/total"}) {
		t.Errorf("metrics tell until when %v are complete", told)
	}
	b.asks(blocks[3])
	// Its credentials ended while some days were to be read once more.
	b.exec(`UPDATE simusage.slice SET failures = 1, failed_at = now(), last_error = '401' FROM simusage.stream, simusage.account
		WHERE stream.id = stream_id AND account.id = account_id AND account.name = 'twilio'`)
	if again := b.must(0, "status").stdout; again != status {
		t.Errorf("said by hand, the end is another\n%s", again)
	}
}

// countedOnce holds the hours of all accounts together against the world.
func (b *bench) countedOnce() {
	b.t.Helper()
	got := b.query(`SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), sum(data_total)::bigint FROM usage.total_hourly GROUP BY 1`)
	var want []string
	for _, r := range b.world.Sum(b.now, b.since, b.now.Truncate(time.Hour), "hour") {
		want = append(want, fmt.Sprint(r.Start.UTC().Format("2006-01-02 15"), " ", r.Total))
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		b.t.Errorf("%d hours, want %d%s", len(got), len(want), firstDifference(got, want))
	}
}

// completeUntil is for which streams the metrics say until when they are complete.
func (b *bench) completeUntil() (streams []string) {
	b.t.Helper()
	store, err := load.Open(b.t.Context(), b.database, load.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	defer store.Close()
	all, err := registry(b.t.Context(), store).Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			if family.GetName() == "simusage_complete_until_timestamp_seconds" {
				streams = append(streams, m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue())
			}
		}
	}
	return streams
}

func TestRunbookForget(t *testing.T) {
	t.Parallel()
	b, _, _ := twoAccounts(t)
	blocks := runbook(t, "A customer leaves")
	b.follow(blocks[0])
	b.asks(blocks[1])
	if left := b.query(`SELECT name FROM simusage.account`); !slices.Equal(left, []string{"main"}) {
		t.Errorf("accounts %v", left)
	}
}
