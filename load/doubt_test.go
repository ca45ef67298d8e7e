package load

import (
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// proof is a total with two breakdowns of two days that agree.
func (h *warehouse) proof() (total, sim, country Stream, all Due) {
	h.tb.Helper()
	total, sim, country = h.stream("hour/total"), h.stream("hour/sim"), h.stream("hour/country")
	for _, day := range []string{"2026-03-01", "2026-03-02"} {
		h.load(total, day, true, "00 - - 5 5")
		h.load(sim, day, true, "00 a - 5 5")
		h.load(country, day, true, "00 - DE 5 5")
	}
	return total, sim, country, dueOf(total, sim, country)
}

func dueOf(streams ...Stream) Due {
	d := due(streams[0], "2026-03-01", "2026-03-03")
	for _, st := range streams[1:] {
		d.Streams = append(d.Streams, due(st, "2026-03-01", "2026-03-03").Streams...)
	}
	return d
}

func (h *warehouse) doubt(d Due, want int64) {
	h.tb.Helper()
	if n, err := h.Doubt(h.tb.Context(), d); n != want || err != nil {
		h.tb.Errorf("%d slices are doubted, want %d; %v", n, want, err)
	}
}

// news are the slices that are still to be compared.
const news = `SELECT stream.name, window_start::date FROM simusage.slice JOIN simusage.stream ON stream.id = stream_id
	WHERE compared_for IS DISTINCT FROM published_at ORDER BY 1, 2`

// Promise 7: what agrees is not compared again until it, or its total, is published again.
func TestPromise7WhatIsProvenIsNotProvenAgain(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	total, sim, _, all := h.proof()
	h.doubt(all, 0)
	equal(t, "still to be compared", h.rows(news))
	h.exec(`UPDATE simusage.slice_sum SET data_total = 11 FROM simusage.slice WHERE id = slice_id AND stream_id = $1`, sim.ID)
	h.doubt(all, 0) // not looked at
	h.exec(`UPDATE simusage.slice_sum SET data_total = 10`)

	h.load(sim, "2026-03-01", true, "00 a - 5 6")
	h.doubt(all, 2) // and the total
	h.load(sim, "2026-03-01", true, "00 a - 5 6")
	h.load(total, "2026-03-01", true, "00 - - 5 6")
	h.doubt(all, 2) // now it is the country that lacks something, and the total once more
	h.exec(`UPDATE simusage.slice SET doubted = false`)
	equal(t, "still to be compared", h.rows(news), "hour/country 2026-03-01", "hour/total 2026-03-01")
}

// Promise 7: the total's slice stays to be compared for the breakdowns that a run leaves out, by its choice or because they are
// being walked.
func TestPromise7ATotalIsProvenAgainstAll(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	total, sim, country, all := h.proof()
	h.doubt(all, 0)
	h.load(total, "2026-03-02", true, "00 - - 5 6")
	h.load(country, "2026-03-02", true, "00 - DE 5 6")
	h.doubt(dueOf(total, country), 0)
	equal(t, "still to be compared", h.rows(news), "hour/total 2026-03-02")
	walk := h.walk(h.Store, sim, "2026-03-02")
	h.doubt(all, 0)
	equal(t, "still to be compared", h.rows(news), "hour/total 2026-03-02")
	h.stage(walk, []string{"00 a - 5 5"})
	h.publish(walk, true) // says what it said before
	h.doubt(all, 2)
}

// Promise 7: a difference that stands is compared no more when its remainder is there.
func TestPromise7AStandingDifferenceIsProvenOnce(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	_, sim, _, all := h.proof()
	h.load(sim, "2026-03-01", true, "00 a - 1 1")
	h.exec(`UPDATE simusage.slice SET doubts = $2 WHERE stream_id = $1 AND window_start = '2026-03-01'`, sim.ID, maxDoubts)
	h.doubt(all, 0)
	equal(t, "still to be compared", h.rows(news), "hour/sim 2026-03-01", "hour/total 2026-03-01")
	for _, want := range []int{1, 0} {
		if n, err := h.Remainders(t.Context(), all); n != want || err != nil {
			t.Errorf("%d remainders are made, want %d; %v", n, want, err)
		}
	}
	h.doubt(all, 0)
	equal(t, "still to be compared", h.rows(news))
}

// Many processes that end at the same moment take turns: each slice is doubted once.
func TestDoubtTakesTurns(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	_, sim, _, all := h.proof()
	h.load(sim, "2026-03-01", true, "00 a - 1 1")
	var doubted [4]int64
	var processes errgroup.Group
	for i := range doubted {
		s := h.process(time.Duration(i).String(), time.Minute)
		processes.Go(func() (err error) {
			doubted[i], err = s.Doubt(t.Context(), all)
			return err
		})
	}
	if err := processes.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := doubted[0] + doubted[1] + doubted[2] + doubted[3]; got != 2 {
		t.Errorf("doubted by each: %v, want two in all", doubted)
	}
	equal(t, "doubts", h.rows(`SELECT sum(doubts), count(*) FILTER (WHERE doubted) FROM simusage.slice`), "1 2")
}
