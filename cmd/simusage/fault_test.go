package main

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// Promise 9 on the real program: frozen in the middle of a list, of one slice or of several, for longer than its lease, overtaken, woken up. It
// publishes nothing of what went to the other, and ends in order.
func TestPromise9FrozenProcessWakesUp(t *testing.T) {
	t.Parallel()
	b := nowBench(t, fakeapi.WorldConfig{Seed: 70, Sims: 8}, fakeapi.Options{})
	b.env["SIMUSAGE_CONCURRENCY"] = "1"
	frozen := make(chan struct{})
	held := make(chan struct{})
	var once sync.Once
	b.api.Inject(fakeapi.Fault{After: 6, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		once.Do(func() { close(frozen) })
		<-held // no answer before it is frozen
		next.ServeHTTP(w, r)
	}})
	sleeper := b.start("sync")
	<-frozen
	sleeper.signal(t, syscall.SIGSTOP)
	close(held)
	before := b.query(`SELECT id, fence FROM simusage.slice WHERE leased_by IS NOT NULL`)
	if len(before) == 0 {
		t.Fatal("the frozen process holds nothing")
	}
	b.start("sync").end(t, 0) // waits until the lease is over
	done := `SELECT id, fence, xmin FROM simusage.slice`
	published := b.query(done)
	b.settled()
	sleeper.signal(t, syscall.SIGCONT)
	r := sleeper.end(t, 0)
	if !strings.Contains(r.stderr, "slice went to another process") {
		t.Errorf("the frozen process did not see that it was overtaken\n%s", r.stderr)
	}
	if after := b.query(done); strings.Join(after, "\n") != strings.Join(published, "\n") {
		t.Errorf("the frozen process changed slices: %v, before %v", after, published)
	}
	b.settled()
}

// Promise 9: twenty processes on one backfill, of which many are killed at any moment. What the dead held is taken over.
func TestPromise9TwentyProcessesAndRandomKills(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := nowBench(t, fakeapi.WorldConfig{Seed: 71, Sims: 10}, fakeapi.Options{Latency: 10 * time.Millisecond})
	b.env["SIMUSAGE_PAGE_SIZE"], b.env["SIMUSAGE_CONCURRENCY"], b.env["SIMUSAGE_RATE"] = "10", "1", "15"
	args := []string{"backfill", "--from", b.since.Format(time.DateOnly), "--to", time.Now().UTC().AddDate(0, 0, -4).Format(time.DateOnly)}
	const many, kills = 20, 14
	var all []*process
	for range many {
		all = append(all, b.start(args...))
	}
	killed := make(map[*process]bool)
	for _, n := range random.Perm(many)[:kills] {
		select {
		case <-all[n].ended:
		case <-time.After(time.Duration(random.IntN(500)) * time.Millisecond): // the moment is the test's dice, nothing is waited for
		}
		all[n].signal(t, syscall.SIGKILL)
		killed[all[n]] = true
	}
	for _, p := range all {
		<-p.ended
		if code := p.cmd.ProcessState.ExitCode(); code != 0 && !killed[p] {
			t.Errorf("a process that was not killed: exit code %d\n%s", code, p.log.String())
		}
	}
	b.start(args...).end(t, 0)
	b.settled()
	if stages := b.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '^stage_'`); len(stages) > 0 {
		t.Errorf("stages left behind: %v", stages)
	}
}
