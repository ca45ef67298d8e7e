package pipeline

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"simusage/load"
	"simusage/load/pgtest"
)

// ownServer gives the bench a Postgres of its own, to break it.
func (b *bench) ownServer() *pgtest.Server {
	b.t.Helper()
	return b.serverWith(nil)
}

// serverWith is one with settings.
func (b *bench) serverWith(settings map[string]string) *pgtest.Server {
	b.t.Helper()
	server := postgres.MustStart(b.t, pgtest.Options{Settings: settings})
	if err := server.CreateDatabase(b.t.Context(), "warehouse", ""); err != nil {
		b.t.Fatal(err)
	}
	b.database = server.URL("warehouse")
	if err := migrate(b.t.Context(), b.database); err != nil {
		b.t.Fatal(err)
	}
	return server
}

// before lets f happen before the n-th request, while others wait.
func before(n int, f func()) http.RoundTripper {
	var mu sync.Mutex
	asked := 0
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		if asked++; asked == n {
			f()
		}
		mu.Unlock()
		return http.DefaultTransport.RoundTrip(r)
	})
}

// Promise 2: Postgres is killed in the middle of a run and comes back, its stages empty. The run goes on with what is
// left, or says that it could not; the next one finishes.
func TestPromise2PostgresCrashesInARun(t *testing.T) {
	for _, moment := range []int{2, 21, 40} {
		t.Run(fmt.Sprint("request ", moment), func(t *testing.T) {
			b := smallBench(t, uint64(60+moment))
			server := b.ownServer()
			b.around = before(moment, func() {
				server.Kill()
				if err := server.Restart(t.Context()); err != nil {
					t.Error(err)
				}
			})
			if runs := b.untilDone(2); runs > 1 {
				t.Logf("%d runs", runs)
			}
			b.around = nil
			b.equal("total", "country", "sim", "sim_country")
		})
	}
}

// Postgres crashes and comes back while all connections are idle, so that nobody notices: the pool replaces them before they
// are used. What is staged then goes to a stage that has lost its beginning, which the publish finds out. The walk begins
// anew, in the same run.
func TestPromise2PostgresCrashesUnseen(t *testing.T) {
	for _, moment := range []int{5, 20, 33} {
		t.Run(fmt.Sprint("request ", moment), func(t *testing.T) {
			b := smallBench(t, uint64(160+moment))
			b.pageSize = 10
			server := b.ownServer()
			b.around = before(moment, func() {
				server.Kill()
				if err := server.Restart(t.Context()); err != nil {
					t.Error(err)
				}
				b.exec(`SELECT pg_sleep(1.5)`) // the pool looks at connections that were idle for a second
			})
			b.untilDone(1)
			if len(b.query(`SELECT FROM simusage.slice WHERE last_error ~ 'stage'`)) > 0 {
				t.Error("a slice failed")
			}
			b.equal("total", "country", "sim", "sim_country")
		})
	}
}

// Again and again, until the work is done.
func TestPromise2PostgresCrashesOften(t *testing.T) {
	b := smallBench(t, 65)
	server := b.ownServer()
	for _, moment := range []int{5, 8, 12} {
		b.around = before(moment, func() {
			server.Kill()
			if err := server.Restart(t.Context()); err != nil {
				t.Error(err)
			}
		})
		s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"})
		if (s.Outcome == Done) != (err == nil) || (s.Outcome == Done) != (s.LeftDue == 0) {
			t.Errorf("outcome %s, %d left due, error %v", s.Outcome, s.LeftDue, err)
		}
	}
	b.around = nil
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
}

// Postgres is frozen in the middle of a run: its connections stay, and nothing is answered any more. The run, which has no
// deadline, ends by itself and says so, and so does one that begins then. When Postgres goes on, the next one finishes.
func TestPostgresFrozen(t *testing.T) {
	for _, moment := range []int{1, 30} {
		t.Run(fmt.Sprint("request ", moment), func(t *testing.T) {
			b := smallBench(t, uint64(70+moment))
			server := b.ownServer()
			b.silence, b.patience = 2*time.Second, 2*time.Second
			b.around = before(moment, server.Freeze)
			defer server.Thaw()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // for a run that does not end
			defer cancel()
			s, err := b.process().Sync(ctx, load.RunStart{Command: "sync"})
			if err == nil || !strings.Contains(err.Error(), "no answer from Postgres") || s.Outcome != Failed && s.Outcome != Partly {
				t.Errorf("outcome %s, error %v", s.Outcome, err)
			}
			if _, err := b.tryProcess(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer from Postgres") {
				t.Errorf("on a frozen Postgres: %v", err)
			}
			server.Thaw()
			b.silence, b.patience, b.around = 0, 0, nil
			b.sync()
			b.equal("total", "country", "sim", "sim_country")
		})
	}
}

// Frozen for a while only: the run has given its connections up, and goes on with others.
func TestPostgresFrozenForAWhile(t *testing.T) {
	b := smallBench(t, 68)
	server := b.ownServer()
	b.silence = 2 * time.Second
	b.around = before(20, func() {
		server.Freeze()
		time.AfterFunc(6*time.Second, server.Thaw)
	})
	b.untilDone(1)
	b.equal("total", "country", "sim", "sim_country")
}

// A statement that waits for long is not taken for silence: here behind a lock, on a Postgres that answers everything else.
func TestSlowStatementIsNotSilence(t *testing.T) {
	b := smallBench(t, 69)
	b.silence = 2 * time.Second
	var locked sync.WaitGroup
	b.around = before(10, func() {
		locked.Go(func() { b.exec(`BEGIN; LOCK TABLE simusage.usage_hourly; SELECT pg_sleep(5); COMMIT`) })
	})
	if s := b.sync(); s.Failed > 0 || s.Duration < 5*time.Second {
		t.Errorf("behind a lock: %+v", s)
	}
	locked.Wait()
	b.equal("total", "country", "sim", "sim_country")
}

// The disk is full on every system that Postgres runs on: the facts cannot grow. The run ends and says so; once there is room
// the next one finishes. The disk is a limit on the size of files (EFBIG), which a plain user can set too: a table already as
// large as it may get. Linux has a disk that is really full, in full_linux_test.go.
func TestDiskFull(t *testing.T) {
	b := smallBench(t, 66)
	server := b.ownServer()
	data := b.query(`SHOW data_directory`)[0]
	b.exec(`CREATE TABLE simusage.usage_hourly_2026_03 (LIKE simusage.usage_hourly INCLUDING DEFAULTS)`)
	b.exec(`ALTER TABLE simusage.usage_hourly ATTACH PARTITION simusage.usage_hourly_2026_03 FOR VALUES FROM ('2026-03-01Z') TO ('2026-04-01Z')`)
	// Larger than a segment of the WAL, which must fit below the limit, or all of Postgres ends instead of a statement.
	b.exec(`INSERT INTO simusage.usage_hourly_2026_03 (stream_id, period_start, series_id, data_upload, data_download, data_total, billed_unit_id, changed_at)
		SELECT 9, '2026-03-01Z', n, 0, 0, 0, 0, now() FROM generate_series(1, 250000) n`)
	file := filepath.Join(data, b.query(`SELECT pg_relation_filepath('simusage.usage_hourly_2026_03')`)[0])
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() < 17<<20 {
		t.Fatalf("the table has %d bytes only", info.Size())
	}
	limitFiles(t, server, uint64(info.Size()))
	s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"})
	if err == nil || s.Outcome == Done || s.LeftDue == 0 || s.Failed == 0 {
		t.Errorf("disk full: %+v, %v", s, err)
	}
	t.Logf("disk full: %s, %v", s.Outcome, err)
	if s.Failed > 2 {
		t.Errorf("%d slices were tried on a full disk, want one for each worker", s.Failed)
	}
	if err := server.Restart(t.Context()); err != nil { // without the bound
		t.Fatal(err)
	}
	b.exec(`DELETE FROM simusage.usage_hourly WHERE stream_id = 9`)
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
}

// limitFiles starts a Postgres again with a bound on the size of its files. It has the bound from us, who have it for the
// moment of the start only; tests beside this one do not notice, because it is larger than any file of theirs.
func limitFiles(t *testing.T, server *pgtest.Server, size uint64) {
	t.Helper()
	var ours syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &ours); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: ours.Max}); err != nil {
		t.Fatal(err)
	}
	err := server.Restart(t.Context())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &ours); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
