package report

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/load"
	"simusage/load/pgtest"
)

var (
	postgres = pgtest.NewCluster(os.Getenv)
	pages    = flag.String("pages", "", "folder to write the pages to, for a browser")
)

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// noon is when the reports are made.
var noon = time.Date(2026, 3, 10, 12, 7, 0, 0, time.UTC)

func migrate(ctx context.Context, url string) error {
	_, err := load.Migrate(ctx, url)
	return err
}

// seeded is a template with testdata/seed.sql in it.
func seeded(sims, every int) pgtest.Template {
	return pgtest.Template{Name: fmt.Sprintf("seeded_%d_%d", sims, every), Prepare: func(ctx context.Context, url string) error {
		if err := migrate(ctx, url); err != nil {
			return err
		}
		seed, err := os.ReadFile("testdata/seed.sql")
		if err != nil {
			return err
		}
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, fmt.Sprintf("SET seed.sims = %d; SET seed.every = %d; %s", sims, every, seed))
		return err
	}}
}

// reader is a connection that may read the views and nothing else.
func reader(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	if _, err := conn.Exec(t.Context(), `SET ROLE usage_reader; SET jit = off`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT FROM simusage.slice`); err == nil {
		t.Fatal("the reader may read the machine room")
	}
	return conn
}

// made is a report, made as a reader; with -pages it can be looked at.
func made(t *testing.T, conn *pgx.Conn, o Options) string {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = noon
	}
	var out bytes.Buffer
	err := pgx.BeginTxFunc(t.Context(), conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		return Write(t.Context(), tx, &out, o)
	})
	if err != nil {
		t.Fatal(err)
	}
	if *pages != "" {
		if err := os.WriteFile(filepath.Join(*pages, strings.ToLower(t.Name())+".html"), out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// says wants each text on the page.
func says(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

// parts are what stands between the scopes of the page: all accounts, then each.
func parts(page string) []string { return strings.Split(page, `<div class="scope"`)[1:] }

func TestContent(t *testing.T) {
	t.Parallel()
	conn := reader(t, postgres.Database(t, seeded(40, 1)))
	page := made(t, conn, Options{})
	says(t, page, "2026-02-08</time>", "2026-03-09</time>", "Made 2026-03-10 12:07\u00a0UTC")
	scopes := parts(page)
	if len(scopes) != 3 {
		t.Fatalf("%d scopes, want all accounts and two", len(scopes))
	}
	says(t, scopes[0], "Complete until 2026-03-10 00:00\u00a0UTC.", "Final until 2026-03-07 00:00\u00a0UTC: late usage",
		"1\u00a0slice of hour/country, the first of 2026-03-05, differs from the API&#39;s total: 1.23\u00a0kB too few in all.",
		" of 1\u00a0SIM are without a price a day after they should have one, since 2026-03-05.")
	says(t, scopes[1], "Every slice agrees with the API&#39;s total, to the byte: 60 of 60.", "USD", "Germany", "Not named by the API", "All others")
	says(t, scopes[2], "No usage waits for its price longer than a day.", "EUR")
	if strings.Contains(scopes[1], "EUR") || strings.Contains(scopes[2], "USD") {
		t.Error("one account shows the currency of the other")
	}

	// The same numbers, asked for differently.
	for scope, where := range map[int]string{0: "", 1: " AND account_sid LIKE 'ACa%'", 2: " AND account_sid LIKE 'ACb%'"} {
		var bytes, peak int64
		var sims int
		err := conn.QueryRow(t.Context(), `SELECT sum(data_total)::bigint, (SELECT max(s) FROM (SELECT sum(data_total)::bigint AS s FROM usage.total_daily WHERE day >= '2026-02-08'`+where+` GROUP BY day) d),
			(SELECT count(DISTINCT sim_sid) FROM usage.sim_daily WHERE day >= '2026-02-08' AND data_total > 0`+where+`)
			FROM usage.total_daily WHERE day >= '2026-02-08'`+where).Scan(&bytes, &peak, &sims)
		if err != nil {
			t.Fatal(err)
		}
		says(t, scopes[scope], fmt.Sprintf(`<dd title="%s bytes">`, exact(bytes)), fmt.Sprintf(`<dd title="%s bytes">`, exact(peak)), fmt.Sprintf("<dd>%d</dd>", sims))
	}
	rows, err := conn.Query(t.Context(), `SELECT sim_sid, sum(data_total)::bigint FROM usage.sim_daily WHERE day >= '2026-02-08' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20`)
	if err != nil {
		t.Fatal(err)
	}
	type top struct {
		SID   string
		Bytes int64
	}
	largest, err := pgx.CollectRows(rows, pgx.RowToStructByPos[top])
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range largest {
		row := fmt.Sprintf(`(?s)<tr data-find="%s"><td class="n rank">%d</td>.{1,400}title="%s bytes"`, s.SID, i+1, exact(s.Bytes))
		if !regexp.MustCompile(row).MatchString(scopes[0]) {
			t.Errorf("SIM %d is not %s with %d bytes", i+1, s.SID, s.Bytes)
		}
	}
	says(t, scopes[1], "The 20 largest of 40\u00a0SIMs with usage.", ">100\u00a0MB<", "Times as much", "2026-03-08", "250\u00a0MB")
	// The bar of the highest SIM goes on behind the limit; one that is far from it leaves room up to the mark.
	says(t, scopes[1], `<span class="bar limit over" style="--v:29.03;--p:100.00;--l:9.16">`)
	says(t, scopes[2], `<span class="bar limit" style="--v:3.94;--p:13.57;--l:100.00">`)
	// The silent SIM is idle since the warehouse begins.
	if !regexp.MustCompile(`(?s)id="s1-idle".*HS0{32}.*never seen in use.*<td class="n">37</td>`).MatchString(scopes[1]) {
		t.Error("the silent SIM is not listed as idle for 37 days")
	}
}

// Names are text of strangers, and so are the country codes of the API.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	page := made(t, reader(t, postgres.Database(t, seeded(40, 1))), Options{})
	says(t, page, "&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;", "&lt;/title&gt;&lt;i&gt;fleet", "emea &lt;b&gt;", "X&lt;Y", `X\u003cY`)
	if Charts() {
		script, err := drawing()
		if err != nil {
			t.Fatal(err)
		}
		page = strings.Replace(page, script, "", 1)
	}
	for _, text := range []string{"<script>alert", "<img", "</title><i>", "<b>", "X<Y"} {
		if strings.Contains(page, text) {
			t.Errorf("the page has %s as it is", text)
		}
	}
	if n := strings.Count(page, "</script>"); n != strings.Count(page, "<script") {
		t.Errorf("%d scripts end, %d begin", n, strings.Count(page, "<script"))
	}
	for _, address := range regexp.MustCompile(`<[^>]*\s(?:src|href|action)\s*=[^>]*>|url\(|@import`).FindAllString(page, -1) {
		if address != `<a class="skip" href="#main">` {
			t.Errorf("the page refers to %s", address)
		}
	}
}

func TestSameDataSamePage(t *testing.T) {
	t.Parallel()
	conn := reader(t, postgres.Database(t, seeded(40, 1)))
	first := made(t, conn, Options{})
	for range 3 {
		if made(t, conn, Options{}) != first {
			t.Fatal("two reports of the same data differ")
		}
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	conn := reader(t, postgres.Database(t, seeded(40, 1)))
	for _, c := range []struct{ from, to, first, last string }{
		{"", "", "2026-02-08", "2026-03-09"},
		{"", "2026-02-11", "2026-02-01", "2026-02-10"}, // nothing is known from before
		{"2026-01-20", "2026-02-03", "2026-01-20", "2026-02-02"},
		{"2026-03-05", "2026-03-06", "2026-03-05", "2026-03-05"},
	} {
		page := made(t, conn, Options{From: at(t, c.from), To: at(t, c.to)})
		says(t, page, "<title>Data usage, "+c.first+" to "+c.last+"</title>")
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return day
}

func TestEmptyWarehouse(t *testing.T) {
	t.Parallel()
	page := made(t, reader(t, postgres.Database(t, pgtest.Template{Name: "migrated", Prepare: migrate})), Options{})
	says(t, page, "Nothing was loaded yet.", "There is no usage in the warehouse for this time.", "2026-02-08</time> to")
	if strings.Contains(page, `class="chart"`) {
		t.Error("an empty warehouse has a chart")
	}
}

// A hundred thousand SIMs cost time in Postgres, and no room in the file.
func TestManySims(t *testing.T) {
	t.Parallel()
	conn := reader(t, postgres.Database(t, seeded(100_000, 4)))
	began := time.Now()
	page := made(t, conn, Options{})
	t.Logf("%d bytes in %s", len(page), time.Since(began).Round(10*time.Millisecond))
	if len(page) > 3<<20 {
		t.Errorf("%d bytes for 100,000 SIMs", len(page))
	}
	says(t, page, "of 100,003\u00a0SIMs with usage.")
}
