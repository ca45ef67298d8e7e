package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// asReader is the bench as somebody who may only read the views, and knows nothing but the database.
func (b *bench) asReader() *bench {
	b.t.Helper()
	_, address := pgtest.MustRole(b.t, b.database, "usage_reader")
	other := *b
	other.env = map[string]string{"DATABASE_URL": address}
	return &other
}

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// From an empty warehouse to a page of what the program has loaded, made by somebody who may only read.
func TestReport(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 90}, fakeapi.Options{})
	reader, dir := b.asReader(), t.TempDir()
	out := filepath.Join(dir, "usage.html")
	if r := reader.must(0, "report", "--out", out); r.stdout != "report: "+out+"\n" || len(r.complaints()) > 0 {
		t.Errorf("report says %q and %q", r.stdout, r.complaints())
	}
	if page := content(t, out); !strings.Contains(page, "Nothing was loaded yet.") {
		t.Error("the report of an empty warehouse does not say so")
	}
	b.must(0, "sync")
	reader.must(0, "report", "--out", out)
	page := content(t, out)
	for _, want := range []string{"<title>Data usage, 2026-03-07 to 2026-03-09</title>", b.world.AccountSID(), "Complete until 2026-03-10 12:00\u00a0UTC.",
		"Every slice agrees with the API&#39;s total", "Made 2026-03-10 12:07\u00a0UTC", "Germany"} {
		if !strings.Contains(page, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	var bytes string
	for _, bytes = range b.query(`SELECT to_char(sum(data_total), 'FM999,999,999,999,999,999,999') FROM usage.total_daily WHERE day < '2026-03-10'`) {
	}
	if !strings.Contains(page, `title="`+bytes+` bytes"`) {
		t.Errorf("the report does not have the sum of %s bytes", bytes)
	}
	reader.must(0, "report", "--out", out, "--from", "2026-03-08", "--to", "2026-03-09T00:00:00Z")
	if page := content(t, out); !strings.Contains(page, "<title>Data usage, 2026-03-08 to 2026-03-08</title>") {
		t.Error("the report is not of the day that was asked for")
	}
	if file, err := os.Stat(out); err != nil || file.Mode().Perm() != 0o644 {
		t.Errorf("the file: %v, %v", file.Mode(), err)
	}
	onlyFile(t, dir)
}

// onlyFile wants nothing in a folder but the report.
func onlyFile(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("in the folder: %v, %v", files, err)
	}
}

// What cannot work is told before anything is read, and a report that fails leaves the last one alone.
func TestReportRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 91}, fakeapi.Options{}).asReader()
	dir := t.TempDir()
	out := filepath.Join(dir, "usage.html")
	if err := os.WriteFile(out, []byte("the last one"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--from", "yesterday"}, {"--from", "2026-03-08T06:00:00Z"}, {"--from", "2026-03-09", "--to", "2026-03-09"}, {"--from", "2026-03-11"},
		{"--from", "2024-03-01"}, {"--out", ""}, {"--out", dir}, {"--out", filepath.Join(dir, "nowhere", "usage.html")}, {"usage.html"}, {"--pdf"},
	} {
		if r := b.must(2, append([]string{"report", "--out", out}, args...)...); len(r.complaints()) != 1 || r.stdout != "" {
			t.Errorf("report %v says %q and %q", args, r.stdout, r.complaints())
		}
	}
	b.with(env{"DATABASE_URL": ""}).must(2, "report", "--out", out)
	b.with(env{"DATABASE_URL": "postgres://postgres@127.0.0.1:1/none"}).must(1, "report", "--out", out)
	empty := b.with(env{"DATABASE_URL": postgres.Database(t, pgtest.Template{})})
	if r := empty.must(2, "report", "--out", out); !strings.Contains(r.stderr, "has simusage migrate run") {
		t.Errorf("a database without views: %s", r.stderr)
	}
	if text := content(t, out); text != "the last one" {
		t.Errorf("the last report is now %.40q", text)
	}
	onlyFile(t, dir)
}

func TestDays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to, first, last string }{
		{"", "", "", ""},
		{"2026-03-01", "", "2026-03-01", ""},
		{"", "2026-03-01", "", "2026-03-01"},
		{"2026-02-01", "2026-03-01T01:00:00+01:00", "2026-02-01", "2026-03-01"},
	} {
		first, last, err := wholeDays(c.from, c.to, noon)
		show := func(d time.Time) string {
			if d.IsZero() {
				return ""
			}
			return day(d)
		}
		if err != nil || show(first) != c.first || show(last) != c.last {
			t.Errorf("--from %s --to %s: %s to %s, %v", c.from, c.to, show(first), show(last), err)
		}
	}
}
