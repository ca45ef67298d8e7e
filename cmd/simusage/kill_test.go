package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// nowBench is a bench for the real program, whose clock is the real one. All usage lies in settled days, so that nothing
// of it changes while a test goes on.
func nowBench(t *testing.T, cfg fakeapi.WorldConfig, opts fakeapi.Options) *bench {
	t.Helper()
	end := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -4)
	if cfg.Start.IsZero() {
		cfg.Start = end.AddDate(0, 0, -6)
	}
	cfg.End, cfg.Late = end, -1
	opts.Clock = time.Now
	b := newBench(t, migrated, cfg, opts)
	b.env["SIMUSAGE_REFRESH"] = "30d"
	b.env["SIMUSAGE_LEASE"] = "1s"
	return b
}

// settled holds the views against the oracle.
func (b *bench) settled() {
	b.t.Helper()
	b.now = time.Now()
	b.equal(b.world)
}

func (p *process) terminate(t *testing.T) { p.signal(t, syscall.SIGTERM) }

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	select {
	case <-p.ended:
	default:
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Logf("signal: %v", err) // it has just ended
		}
	}
}

// Promise 2 on the real program: killed thirty times at any moment, it has in the end what the world says, and after
// each death asks for no more than one page of each list that was open then.
func TestPromise2KilledThirtyTimes(t *testing.T) {
	t.Parallel()
	const kills, lanes = 30, 3
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := nowBench(t, fakeapi.WorldConfig{Seed: 6, Sims: 12, Density: 0.8}, fakeapi.Options{Latency: 15 * time.Millisecond})
	b.env["SIMUSAGE_PAGE_SIZE"] = "3"
	b.env["SIMUSAGE_RATE"] = "60" // so that there is work for all thirty, however fast the machine
	b.env["SIMUSAGE_CONCURRENCY"] = strconv.Itoa(lanes)
	var deaths []int // how many requests had been sent when a process died
	for len(deaths) < kills {
		p := b.start("sync")
		select {
		case <-p.ended:
			t.Fatalf("the work was over after %d deaths: exit code %d\n%s", len(deaths), p.cmd.ProcessState.ExitCode(), p.log.String())
		case <-time.After(time.Duration(random.IntN(700)) * time.Millisecond):
		}
		p.signal(t, syscall.SIGKILL)
		<-p.ended
		deaths = append(deaths, len(b.api.Requests()))
	}
	b.env["SIMUSAGE_RATE"] = ""
	b.start("sync").end(t, 0)
	b.settled()

	// A page that was asked for before a death and once more after it is one that this death cost.
	asked := make(map[string]int)
	again := make([]int, kills)
	total, death := 0, 0
	for i, r := range b.api.Requests() {
		for death < kills && i >= deaths[death] {
			death++
		}
		if r.Status != http.StatusOK {
			continue
		}
		page := fmt.Sprint(r.Path, "?", r.Query, " ", r.Page)
		if life, before := asked[page]; before {
			if life == death {
				t.Errorf("asked twice in one life: %s", page)
			} else {
				again[life]++
				total++
			}
		}
		asked[page] = death
	}
	t.Logf("%d pages, %d asked again: %v", len(asked), total, again)
	for life, n := range again {
		if n > lanes {
			t.Errorf("after death %d, %d pages were asked for again, want at most %d", life+1, n, lanes)
		}
	}
}

// Promise 9 on the real program: two syncs and a backfill at once share the work, each page is asked for once.
func TestPromise9ThreeProcessesAtOnce(t *testing.T) {
	t.Parallel()
	b := nowBench(t, fakeapi.WorldConfig{Seed: 7, Sims: 12}, fakeapi.Options{Latency: 5 * time.Millisecond})
	b.env["SIMUSAGE_LEASE"] = "30s"
	from, to := b.since.Format(time.DateOnly), time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	processes := []*process{b.start("sync"), b.start("backfill", "--from", from, "--to", to), b.start("sync")}
	for _, p := range processes {
		p.end(t, 0)
	}
	b.settled()
	asked := make(map[string]int)
	for _, r := range b.api.Requests() {
		page := fmt.Sprint(r.Path, "?", r.Query, " ", r.Page)
		if asked[page]++; asked[page] > 1 {
			t.Errorf("asked for %d times: %s", asked[page], page)
		}
	}
	if workers := b.query(`SELECT run FROM usage.runs WHERE slices > 0 AND outcome = 'done'`); len(workers) < 2 {
		t.Errorf("only runs %v did something", workers)
	}
}
