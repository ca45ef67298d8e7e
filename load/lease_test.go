package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// Promise 9: whoever asks, and however many ask at once, no slice is leased twice, alone or with others.
func TestPromise9NoSliceTwice(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{spanRows, spanRows / 3} {
		h := newWarehouse(t)
		d := due(h.stream("hour/sim"), "2026-02-01", "2026-03-10")
		if err := h.Plan(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		h.exec(`UPDATE simusage.slice SET published_at = now(), covered_until = window_end, checked_at = '2026-01-01', row_count = $1`, rows)
		h.leaseAll(d, 37)
	}
}

// leaseAll lets three processes lease whatever is due, and wants that to be so many slices.
func (h *warehouse) leaseAll(d Due, want int) {
	t := h.tb
	t.Helper()
	var mu sync.Mutex
	holder, walks := make(map[int64]string), 0
	var group errgroup.Group
	for process := range 3 {
		s := h.process(fmt.Sprint("process ", process+2), time.Minute)
		for range 3 {
			group.Go(func() error {
				for {
					w, err := s.Lease(t.Context(), d, nil)
					if err != nil || w == nil {
						return err
					}
					mu.Lock()
					for _, p := range w.Parts {
						if other, ok := holder[p.ID]; ok {
							t.Errorf("slice %d is leased to %s and %s", p.ID, other, s.Owner())
						}
						holder[p.ID] = s.Owner()
					}
					walks++
					mu.Unlock()
				}
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(holder) != want {
		t.Errorf("%d slices were leased, want %d", len(holder), want)
	}
	t.Logf("%d slices in %d walks", len(holder), walks)
	for _, line := range h.rows(`SELECT id, leased_by FROM simusage.slice`) {
		var id int64
		var owner string
		fmt.Sscan(line, &id)
		if owner = line[len(fmt.Sprint(id))+1:]; holder[id] != owner {
			t.Errorf("slice %d is leased to %q, but %q has it", id, owner, holder[id])
		}
	}
}

// Promise 9: the slice of a process that froze goes to another, which goes on from its checkpoint. When the first wakes
// up it can neither stage nor restart nor publish nor give away what is not its own any more.
func TestPromise9FencedOutWritesNothing(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	frozen := h.walk(h.Store, st, "2026-03-10")
	h.stage(frozen, []string{"00 a - 1 1"})
	other := h.process("process 2", time.Minute)
	if w, err := other.Lease(t.Context(), due(st, "2026-03-10", "2026-03-11"), nil); w != nil || err != nil {
		t.Fatalf("a slice with a holder was leased: %v", err)
	}
	h.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp()`)
	w := h.walk(other, st, "2026-03-10")
	if w.ID != frozen.ID || w.lead().fence != frozen.lead().fence+1 || w.Lists[0].Pages != 1 || !w.Started.Equal(frozen.Started) {
		t.Errorf("the other process goes on with %+v, list %+v", w, *w.Lists[0])
	}
	state := `SELECT slice, list, (SELECT count(*) FROM ` + w.stage() + `), (SELECT count(*) FROM simusage.usage_hourly) FROM simusage.slice, simusage.list`
	before := h.rows(state)
	fenced := func(when string) {
		t.Helper()
		_, published := frozen.Parts[0].Publish(t.Context(), false, Caution{Shrink: 0.5})
		for what, err := range map[string]error{
			"begin":   frozen.Begin(t.Context(), frozen.Window, noon.Add(48*time.Hour)),
			"stage":   frozen.Stage(t.Context(), &List{Ask: frozen.Ask}, h.page(frozen, "", "01 a - 9 9")),
			"restart": frozen.Restart(t.Context(), &List{}),
			"publish": published,
		} {
			if !errors.Is(err, ErrFenced) {
				t.Errorf("%s, %s: %v, want ErrFenced", when, what, err)
			}
		}
		if err := frozen.Fail(t.Context(), errors.New("mine")); err != nil {
			t.Error(err)
		}
		if err := frozen.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	fenced("while the other walks")
	equal(t, "what the fenced process left behind", h.rows(state), before...)
	if p := h.publish(w, false); p.Inserted != 1 {
		t.Errorf("published %+v", p)
	}
	slice := h.rows(`SELECT slice FROM simusage.slice`)
	fenced("after the other has published")
	equal(t, "facts", h.rows(factSQL), "10 00 a 1 1 2 - ")
	equal(t, "slice", h.rows(`SELECT slice FROM simusage.slice`), slice...)
}

// A publish holds the slice's row: an expired lease does not let anybody in between the fence check and the commit.
func TestPromise9NobodyComesBetween(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	w := h.walk(h.Store, st, "2026-03-10")
	h.stage(w, []string{"00 a - 1 1"})
	h.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp()`)
	h.exec(`BEGIN; SELECT FROM simusage.list FOR UPDATE`)
	var publish errgroup.Group
	publish.Go(func() error { _, err := w.Parts[0].Publish(t.Context(), false, Caution{Shrink: 0.5}); return err })
	h.blocked(`DELETE FROM simusage.list%`)
	other := h.process("process 2", time.Minute)
	if w, err := other.Lease(t.Context(), due(st, "2026-03-10", "2026-03-11"), nil); w != nil || err != nil {
		t.Errorf("a slice that is being published was leased: %v", err)
	}
	h.exec(`COMMIT`)
	if err := publish.Wait(); err != nil {
		t.Error(err)
	}
}

// The newest slices come first, because people look at them, and newest of all the newest; then the old ones, nearest to
// the wall first, because those will be lost. What was left of spans comes last.
func TestLeaseOrder(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	a, b := h.stream("hour/total"), h.stream("hour/sim")
	d := due(a, "2026-03-04", "2026-03-10")
	d.Streams = append(d.Streams, due(b, "2026-03-04", "2026-03-10").Streams...)
	if err := h.Plan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	order := func() (got []string) {
		t.Helper()
		var skip []int64
		for {
			w, err := h.Lease(t.Context(), d, skip)
			if err != nil {
				t.Fatal(err)
			}
			if w == nil {
				return got
			}
			if err := w.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			skip = append(skip, w.ID)
			got = append(got, w.Name())
		}
	}
	days := []string{"09", "08", "07", "04", "05", "06"} // recent is what ends after 2026-03-07 12:07
	for _, d.AgainBefore = range []time.Time{{}, noon.Add(time.Hour)} {
		var want []string
		for _, day := range days {
			want = append(want, "hour/total 2026-03-"+day, "hour/sim 2026-03-"+day)
		}
		equal(t, "order", order(), want...)
		h.exec(`UPDATE simusage.slice SET walk_leader = 0 WHERE stream_id = $1 OR window_start = '2026-03-09'`, a.ID)
		want = nil
		for _, day := range days[1:] {
			want = append(want, "hour/sim 2026-03-"+day)
		}
		want = append(want, "hour/total 2026-03-09", "hour/sim 2026-03-09")
		for _, day := range days[1:] {
			want = append(want, "hour/total 2026-03-"+day)
		}
		equal(t, "order with what is left of spans", order(), want...)
	}
}

// What comes first is found by an index, however many slices there are: its condition is the one that we ask with.
func TestOpenSlicesHaveAnIndex(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	d := due(st, "2024-10-01", "2026-03-10")
	d.AgainBefore = time.Time{}
	if err := h.Plan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	h.exec(`UPDATE simusage.slice SET published_at = now(), settled = true, covered_until = window_end WHERE window_start < '2026-03-01'`)
	h.exec(`VACUUM ANALYZE simusage.slice`)
	h.exec(inOrder)
	again := d
	again.AgainBefore = at("2026-03-09")
	for _, c := range []struct {
		what, index, sql string
		due              Due
	}{
		{"any", "slice_open", `SELECT FROM ` + d.from(``), d},
		{"first", "slice_open", firstSQL(d), d},
		{"any again", "slice_checked", `SELECT FROM ` + again.from(``), again},
		{"first again", "slice_checked", firstSQL(again), again},
	} {
		args := c.due.args()
		if strings.Contains(c.sql, "$9") {
			args = append(args, d.Recent, []int64{})
		}
		plan := strings.Join(h.rows(`EXPLAIN `+c.sql, args...), "\n")
		if !strings.Contains(plan, c.index) || strings.Contains(plan, "slice_stream_id_window_start_key") || strings.Contains(plan, "Seq Scan on slice") {
			t.Errorf("%s is looked for in all slices:\n%s", c.what, plan)
		}
	}
}

// KeepAlive extends the leases that the process holds now, and its run; not those that it has lost or given back.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	s := h.process("keeper", time.Hour)
	st := MustStream(t, s, h.account, "hour/sim")
	run, err := s.StartRun(t.Context(), RunStart{Command: "sync"})
	if err != nil {
		t.Fatal(err)
	}
	held := h.lease(s, st, "2026-03-05")
	busy := h.lease(s, st, "2026-03-04")
	lost := h.lease(s, st, "2026-03-06")
	given := h.lease(s, st, "2026-03-07")
	if err := given.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.exec(`UPDATE simusage.slice SET lease_expires_at = '2000-01-01'`)
	h.exec(`UPDATE simusage.slice SET leased_by = 'another' WHERE id = $1`, lost.ID)
	h.exec(`UPDATE simusage.run SET seen_at = '2000-01-01'`)
	// A slice that is being published is locked for as long as that takes. The other leases do not wait for it.
	locker := MustConnect(t, h.url)
	MustRows(t, locker, `BEGIN; SELECT FROM simusage.slice WHERE id = $1 FOR UPDATE`, busy.ID)
	s.lease = 30 * time.Millisecond // read by nobody before KeepAlive
	ctx, stop := context.WithCancel(t.Context())
	var keeper sync.WaitGroup
	keeper.Go(func() { s.KeepAlive(ctx, run) })
	extended := `SELECT string_agg(window_start::date::text, ' ' ORDER BY window_start) FROM simusage.slice WHERE lease_expires_at > '2000-01-02'`
	h.await("2026-03-05", extended)
	MustRows(t, locker, `COMMIT`)
	h.await("2026-03-04 2026-03-05", extended)
	if err := held.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.await("2026-03-04", extended)
	equal(t, "the run's sign of life", h.rows(`SELECT seen_at > '2000-01-02' FROM simusage.run`), "t")
	stop()
	keeper.Wait()
}

// Left tells what is free, what others hold and for how long; not what this process walks itself, nor what it has given up.
func TestLeft(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	d := due(st, "2026-03-01", "2026-03-07")
	if err := h.Plan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	other := h.process("process 2", time.Minute)
	h.lease(h.Store, st, "2026-03-01")
	h.lease(other, st, "2026-03-02")
	h.lease(other, st, "2026-03-03")
	h.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() + interval '1 hour' WHERE window_start = '2026-03-03'`)
	dead := h.lease(other, st, "2026-03-04")
	h.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() - interval '1 hour' WHERE id = $1`, dead.ID)
	given := h.lease(h.Store, st, "2026-03-05")
	if err := given.Fail(t.Context(), errors.New("no")); err != nil {
		t.Fatal(err)
	}
	free, held, expires, err := h.Left(t.Context(), d, []int64{given.ID})
	if err != nil || free != 2 || held != 2 || expires < 30*time.Second || expires > time.Minute {
		t.Errorf("left: %d free, %d held, the first until %v, %v; want 2, 2, a minute", free, held, expires, err)
	}
	if free, held, _, err := other.Left(t.Context(), d, nil); err != nil || free != 2 || held != 1 {
		t.Errorf("left to the other: %d free, %d held, %v; want 2, 1", free, held, err)
	}
	if free, held, expires, err := h.Left(t.Context(), Due{}, nil); free+held != 0 || expires != 0 || err != nil {
		t.Errorf("left of no streams: %d free, %d held, %v", free, held, err)
	}
	if err := other.Plan(t.Context(), d); err != nil { // again, which changes nothing
		t.Fatal(err)
	}
	equal(t, "slices", h.rows(`SELECT count(*), count(leased_by) FROM simusage.slice`), "6 4")
}
