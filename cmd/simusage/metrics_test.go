package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"simusage/extract/fakeapi"
	"simusage/load"
)

// get asks a server on this machine.
func (b *bench) get(url string) (code int, body string) {
	b.t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (b *bench) wants(what, text string, lines ...string) {
	b.t.Helper()
	for _, want := range lines {
		if !strings.Contains("\n"+text, "\n"+want+"\n") {
			b.t.Errorf("%s: no line %q in\n%s", what, want, text)
		}
	}
}

// What looks after the schedule sees that it lives, whether it could run, and what the runs did, whichever process ran.
func TestScheduleIsWatched(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	b.must(0, "sync")
	log, out := &watched{}, &watched{}
	done := out.await("done: ")
	stop := b.resident(time.Hour, log, out, "--now")
	b.soon("end of the first run", done, log)
	found := regexp.MustCompile(`"address":"([^"]+)"`).FindStringSubmatch(log.String())
	if found == nil {
		t.Fatalf("no address in the log\n%s", log)
	}
	base := "http://" + found[1]
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := b.get(base + path); code != 200 {
			t.Errorf("%s answers %d %s", path, code, body)
		}
	}
	_, metrics := b.get(base + "/metrics")
	b.wants("metrics", metrics, "simusage_up 1", "simusage_held_back_slices 0", `simusage_last_run_exit_code{command="schedule"} 0`,
		`simusage_last_run_slices{command="sync",outcome="published"} 12`, `simusage_last_run_requests{code="none",command="sync"} 0`,
		`simusage_holes{account="",stream="hour/total"} 0`, `simusage_unreconciled_slices{account="",stream="hour/sim@country"} 0`,
		fmt.Sprintf(`simusage_complete_until_timestamp_seconds{account="",stream="hour/total"} %s`, scientific(noon.Truncate(time.Hour).Unix())))
	if !regexp.MustCompile(`simusage_last_run_requests\{code="200",command="sync"\} [1-9]`).MatchString(metrics) ||
		!regexp.MustCompile(`simusage_last_run_phase_seconds\{command="sync",phase="walk"\} `).MatchString(metrics) ||
		!regexp.MustCompile(`simusage_last_success_timestamp_seconds\{command="sync"\} [1-9]`).MatchString(metrics) {
		t.Errorf("the run of sync is not told:\n%s", metrics)
	}

	conn, err := pgx.Connect(t.Context(), b.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `UPDATE simusage.schema_migrations SET version = version - 1`); err != nil {
		t.Fatal(err)
	}
	if code, body := b.get(base + "/readyz"); code != 503 || !strings.Contains(body, "simusage migrate") {
		t.Errorf("with an old schema /readyz answers %d %s", code, body)
	}
	if code, _ := b.get(base + "/healthz"); code != 200 {
		t.Errorf("with an old schema /healthz answers %d", code)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d\n%s", code, log)
	}
	if _, err := http.Get(base + "/healthz"); err == nil {
		t.Error("it is still served after the end")
	}
}

// scientific is a number as the text format of Prometheus has it.
func scientific(n int64) string {
	digits := strings.TrimRight(fmt.Sprint(n), "0")
	return fmt.Sprintf("%s.%se+%02d", digits[:1], digits[1:], len(fmt.Sprint(n))-1)
}

// An address that is taken is told before anything runs.
func TestScheduleAddressTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if r := b.must(2, "schedule", "--now", "--listen", taken.Addr().String()); !strings.Contains(r.stderr, "SIMUSAGE_LISTEN") || len(b.api.Requests()) > 0 {
		t.Errorf("%d requests; it says %s", len(b.api.Requests()), r.stderr)
	}
}

// gateway is a Pushgateway as far as it takes in what is pushed.
type gateway struct {
	mu     sync.Mutex
	pushes []string // method and path
	body   string
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	g.pushes, g.body = append(g.pushes, r.Method+" "+r.URL.Path), string(body)
	w.WriteHeader(http.StatusAccepted)
}

// A run pushes what the warehouse knows then, also one that fails. POST leaves what others have pushed in place.
func TestMetricsArePushed(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	g := &gateway{}
	b.env["SIMUSAGE_PUSH_URL"] = serve(t, g)
	b.must(0, "sync")
	b.must(0, "backfill", "--from", "2026-03-07", "--to", "2026-03-08")
	b.now = b.now.Add(2 * time.Hour)
	b.with(map[string]string{"TWILIO_AUTH_TOKEN": "wrong"}).must(2, "sync")
	if want := "POST /metrics/job/simusage"; len(g.pushes) != 3 || g.pushes[0] != want || g.pushes[2] != want {
		t.Errorf("pushed %q", g.pushes)
	}
	if !strings.Contains(g.body, "simusage_last_success_timestamp_seconds") || !strings.Contains(g.body, "simusage_last_run_exit_code") {
		t.Errorf("pushed %q", g.body)
	}
}

// A gateway that is away is told, and changes nothing about the run.
func TestGatewayAway(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	b.env["SIMUSAGE_PUSH_URL"] = "http://127.0.0.1:1"
	if r := b.must(0, "sync"); !strings.Contains(r.stderr, "metrics not pushed") {
		t.Errorf("sync says %s", r.stderr)
	}
	for _, wrong := range []string{"host:9091", "ftp://host", "http://user:secret@host"} {
		b.env["SIMUSAGE_PUSH_URL"] = wrong
		if r := b.must(2, "sync"); !strings.Contains(r.stderr, "SIMUSAGE_PUSH_URL") || strings.Contains(r.stderr, "secret@") {
			t.Errorf("%s: %s", wrong, r.stderr)
		}
	}
}

// The names keep to the conventions of Prometheus, whatever the warehouse holds; a database that is away is a metric too.
func TestMetricsKeepToConventions(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	store, err := load.Open(t.Context(), b.database, load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry(t.Context(), store))
	if err != nil || len(problems) > 0 {
		t.Errorf("an empty warehouse: %v %v", problems, err)
	}
	b.must(0, "sync")
	problems, err = testutil.GatherAndLint(registry(t.Context(), store))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	store.Close()
	if err := testutil.GatherAndCompare(registry(t.Context(), store), strings.NewReader("# HELP simusage_up Whether the warehouse could be read.\n# TYPE simusage_up gauge\nsimusage_up 0\n")); err != nil {
		t.Error(err)
	}
}
