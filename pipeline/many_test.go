package pipeline

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// Promise 9: two syncs and a backfill at once share the due slices. No page is asked for twice.
func TestPromise9ManyAtOnce(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 20, Sims: 8}, fakeapi.Options{Latency: 2 * time.Millisecond})
	jobs := []*Job{b.process(), b.process(), b.process()}
	var all sync.WaitGroup
	for i, job := range jobs {
		all.Go(func() {
			var s Summary
			var err error
			if i == 2 {
				s, err = job.Backfill(t.Context(), load.RunStart{Command: "backfill"}, Range{Window: extract.Window{Start: b.since, End: at("2026-03-08")}})
			} else {
				s, err = job.Sync(t.Context(), load.RunStart{Command: "sync"})
			}
			if err != nil {
				t.Errorf("process %d: %v", i+1, err)
			}
			if s.Slices == 0 {
				t.Errorf("process %d had no share", i+1)
			}
		})
	}
	all.Wait()
	b.equal("total", "country", "sim", "sim_country")
	pages := make(map[string]int)
	for _, r := range b.api.Requests() {
		if page := fmt.Sprint(r.Path, r.Query, r.Page); pages[page] > 0 {
			t.Errorf("asked for twice: %s", page)
		} else {
			pages[page]++
		}
	}
}

// Promise 9: a process that freezes past its lease and wakes up publishes nothing; the slice is whole all the same.
func TestPromise9AFrozenProcessIsFencedOut(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 21, Sims: 8}, fakeapi.Options{})
	b.streams = parseStreams(t, "hour/sim")
	b.since = at("2026-03-10")
	b.pageSize = 10
	b.lease = time.Hour // the rest of the process is alive, and must not extend its lease before the other one takes the slice, on whatever machine
	frozen, wake := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.around = roundTrip(func(r *http.Request) (*http.Response, error) {
		if fakeapi.WithToken(r) {
			once.Do(func() {
				close(frozen)
				<-wake
			})
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	sleeper := b.process()
	b.around = nil
	done := make(chan Summary)
	go func() {
		s, err := sleeper.Sync(t.Context(), load.RunStart{Command: "sync"})
		if err != nil {
			t.Errorf("the frozen process: %v", err)
		}
		done <- s
	}()
	<-frozen
	b.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() - interval '1 second'`)
	other := b.sync()
	close(wake)
	s := <-done
	if other.Slices != 1 || s.Slices != 0 || s.Inserted+s.Updated+s.Deleted != 0 {
		t.Errorf("the other process published %d slices, the frozen one %d with %d rows", other.Slices, s.Slices, s.Inserted+s.Updated+s.Deleted)
	}
	b.equal("sim")
}

// Any interleaving of scheduled runs, backfills, late data, corrections and crashes converges: when nothing happens any
// more and the last slice has settled, one sync makes the warehouse equal to the world.
func TestEverythingConverges(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { converge(t, seed) })
	}
}

func converge(t *testing.T, seed uint64) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 30 + seed, Sims: 5, Late: 0.3, Start: at("2026-03-06"), End: at("2026-03-12")}, fakeapi.Options{})
	b.since = at("2026-03-06")
	b.pageSize = 15
	random := rand.New(rand.NewPCG(seed, 1))
	b.clock.Set(at("2026-03-07 05:07"))
	for range 20 {
		switch random.IntN(6) {
		case 0, 1:
			b.clock.Advance(time.Duration(random.IntN(600)) * time.Minute)
		case 2:
			b.world.Amend(b.clock.Now(), func(e *fakeapi.Event) bool {
				if random.IntN(20) > 0 || e.Start.After(b.clock.Now()) {
					return false
				}
				e.Download += int64(random.IntN(1000))
				return true
			})
		case 3:
			m := &mortal{moment: 1 + random.IntN(400)}
			b.dial, b.around = m.dial, m
			life := m.life(t.Context())
			if job, err := b.tryProcess(life); err == nil {
				job.Sync(life, load.RunStart{Command: "sync"})
				job.Store.Close()
			}
			b.dial, b.around = nil, nil
			b.expireLeases()
		case 4:
			window := extract.Window{Start: at("2026-03-06").AddDate(0, 0, random.IntN(2)), End: b.clock.Now()}
			if _, err := b.process().Backfill(t.Context(), load.RunStart{Command: "backfill"}, Range{Window: window, AgainBefore: b.clock.Now()}); err != nil {
				t.Fatal(err)
			}
		case 5:
			b.sync()
		}
	}
	// Until everything that may still arrive has arrived, and once more behind the settle time.
	b.clock.Set(at("2026-03-12 06:07"))
	b.sync()
	b.clock.Set(at("2026-03-16 06:07"))
	if _, err := b.process().Backfill(t.Context(), load.RunStart{Command: "backfill"}, Range{Window: extract.Window{Start: b.since, End: at("2026-03-16")}, AgainBefore: b.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	b.equal("total", "country", "sim", "sim_country")
	for _, line := range b.query(`SELECT stream, window_start FROM usage.reconciliation WHERE reconciled IS NOT TRUE`) {
		t.Errorf("not reconciled: %s", line)
	}
	if stages := b.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '^stage_'`); len(stages) > 0 {
		t.Errorf("stages left behind: %v", stages)
	}
}
