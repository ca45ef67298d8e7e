package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"simusage/extract"
)

func TestFeeds(t *testing.T) {
	t.Parallel()
	cases := []struct {
		streams string
		want    string // of each family and grain, where any; * stands for hour, day and month
		narrow  string // what is said when it is ambiguous
	}{
		{"", "", ""},
		{"hour/total", "total *=hour/total", ""},
		{"hour/total hour/country hour/sim@country", "total *=hour/total; country *=hour/country; sim *=hour/sim@country; sim_country *=hour/sim@country", ""},
		{"hour/country@sim", "country *=hour/country@sim; sim *=hour/country@sim; sim_country *=hour/country@sim", ""},
		{"hour/country hour/sim", "country *=hour/country; sim *=hour/sim", ""},
		{"hour/sim@fleet hour/fleet", "sim *=hour/sim@fleet; fleet *=hour/fleet", ""},
		{"hour/sim@fleet hour/sim@network", "sim *=hour/sim@fleet; fleet *=hour/sim@fleet; network *=hour/sim@network", ""},
		{"day/sim", "sim day=day/sim; sim month=day/sim", ""},
		{"all/sim day/sim hour/sim", "sim *=hour/sim", ""},
		{"all/network", "network month=all/network", ""},
		{"day/sim@country hour/sim", "country day=day/sim@country; country month=day/sim@country; sim *=hour/sim; sim_country day=day/sim@country; sim_country month=day/sim@country", ""},
		{"hour/sim:fleet=A", "sim *=hour/sim:fleet=A", ""},
		{"hour/total:fleet=A hour/total", "total *=hour/total", ""},
		{"hour/sim:fleet=A hour/sim:fleet=B", "", "hour/sim:fleet=A and hour/sim:fleet=B would both narrow what the sim views show"},
		{"hour/sim:fleet=A hour/sim:fleet=B hour/sim", "sim *=hour/sim", ""},
		{"hour/sim hour/sim:fleet=A hour/sim:fleet=B", "sim *=hour/sim", ""},
		{"hour/sim:fleet=A hour/sim:fleet=B hour/sim@country:fleet=C", "", "hour/sim:fleet=A and hour/sim:fleet=B would both narrow what the sim views show"},
		{"hour/sim@country hour/sim", "country *=hour/sim@country; sim *=hour/sim; sim_country *=hour/sim@country", ""},
		{"hour/sim@network hour/sim@country", "country *=hour/sim@country; sim *=hour/sim@country; sim_country *=hour/sim@country; network *=hour/sim@network", ""},
		{"hour/sim:fleet=A day/sim", "sim hour=hour/sim:fleet=A; sim day=day/sim; sim month=day/sim", ""},
		{"hour/sim:fleet=A day/sim:fleet=B", "sim *=hour/sim:fleet=A", ""},
	}
	for _, c := range cases {
		var streams []extract.Stream
		for _, text := range strings.Fields(c.streams) {
			s, err := extract.ParseStream(text)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		feeds, err := Feeds(streams)
		if c.narrow != "" {
			if !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), c.narrow) {
				t.Errorf("%s: %v, want %s", c.streams, err, c.narrow)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.streams, err)
		}
		var got []string
		for _, f := range feeds {
			got = append(got, fmt.Sprintf("%s %s=%s", f.Family, f.Grain, f.Stream))
		}
		for i := 0; i+2 < len(got); i++ { // hour, day and month alike: one entry
			family, stream, _ := strings.Cut(got[i], " hour=")
			if slices.Equal(got[i+1:i+3], []string{family + " day=" + stream, family + " month=" + stream}) {
				got = slices.Replace(got, i, i+3, family+" *="+stream)
			}
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.streams, text, c.want)
		}
	}
}

const feedSQL = `SELECT stream, CASE WHEN isfinite(valid_from) THEN to_char(valid_from AT TIME ZONE 'UTC', 'MM-DD') ELSE valid_from::text END,
		CASE WHEN isfinite(valid_to) THEN to_char(valid_to AT TIME ZONE 'UTC', 'MM-DD') ELSE valid_to::text END
	FROM usage.feeds WHERE family = 'sim' AND grain = $1 ORDER BY valid_from`

// A configuration changes from hour/sim and hour/country to hour/sim@country. The views go on reading the old stream until
// the new one is complete; then it takes over from where it is complete on, and what is older stays the old one's. The
// bytes tell who was read: the old stream says 2 a day, the new one 20.
func TestSwitchOfFeeds(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	before := h.feed("hour/sim", "hour/country")
	old, sims, both := before[0], before, h.stream("hour/sim@country")
	load := func(st Stream, days ...string) {
		t.Helper()
		for _, day := range days {
			if st == both {
				h.load(st, "2026-03-"+day, true, "00 a DE 10 10")
			} else {
				h.load(st, "2026-03-"+day, true, "00 a - 1 1")
			}
		}
	}
	check := func(what string, days string, feeds ...string) {
		t.Helper()
		equal(t, what+": days", h.rows(`SELECT string_agg(to_char(day, 'DD') || '=' || data_total, ' ' ORDER BY day, data_total) FROM usage.sim_daily`), days)
		equal(t, what+": hours", h.rows(`SELECT string_agg(to_char(hour AT TIME ZONE 'UTC', 'DD') || '=' || data_total, ' ' ORDER BY hour, data_total) FROM usage.sim_hourly`), days)
		equal(t, what+": feeds", h.rows(feedSQL, "day"), feeds...)
	}
	switchTo := func(what string, waiting bool, since string, streams ...Stream) {
		t.Helper()
		for _, sw := range h.setFeeds(streams...) {
			if sw.Family != "sim" || sw.Grain != "day" {
				continue
			}
			if got := sw.Since.Format("01-02"); sw.Waiting != waiting || !waiting && got != since || sw.To != streams[0].Stream.String() {
				t.Errorf("%s: %+v", what, sw)
			}
			return
		}
		if waiting || since != "" {
			t.Errorf("%s: nothing was said", what)
		}
	}
	load(old, "05", "06", "07", "08")
	check("at first", "05=2 06=2 07=2 08=2", "hour/sim -infinity infinity")
	switchTo("nothing new", true, "", both)
	load(both, "07")
	switchTo("behind the old", true, "", both)
	check("not complete", "05=2 06=2 07=2 08=2", "hour/sim -infinity infinity")
	load(both, "08")
	switchTo("complete", false, "03-07", both)
	check("taken over", "05=2 06=2 07=20 08=20", "hour/sim -infinity 03-07", "hour/sim@country 03-07 infinity")
	switchTo("again", false, "", both)

	// A backfill of older days makes it complete further back; days between, planned or not, are no part of that.
	load(both, "05")
	switchTo("a day apart", false, "", both)
	check("a day apart", "05=2 06=2 07=20 08=20", "hour/sim -infinity 03-07", "hour/sim@country 03-07 infinity")
	if err := h.Plan(t.Context(), due(both, "2026-03-05", "2026-03-09")); err != nil {
		t.Fatal(err)
	}
	switchTo("with a hole", false, "", both)
	load(both, "06")
	switchTo("filled", false, "03-05", both)
	check("filled", "05=20 06=20 07=20 08=20", "hour/sim -infinity 03-05", "hour/sim@country 03-05 infinity")

	// Back again: the old stream has missed a day and must make up for it first.
	load(both, "09")
	switchTo("back, a day behind", true, "", sims...)
	check("back, a day behind", "05=20 06=20 07=20 08=20 09=20", "hour/sim -infinity 03-05", "hour/sim@country 03-05 infinity")
	load(old, "09")
	switchTo("back", false, "03-05", sims...)
	check("back", "05=2 06=2 07=2 08=2 09=2", "hour/sim -infinity 03-05", "hour/sim 03-05 infinity")
}

// What the wall has cut off the first slice of the new stream stays with the old one.
func TestSwitchOfFeedsAtTheWall(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	old := h.feed("day/sim")[0]
	h.load(old, "2026-02-01", true, "00 a - 1 1", "10 a - 1 1", "20 a - 1 1")
	fresh := h.stream("day/sim@country")
	w := h.lease(h.Store, fresh, "2026-02-01")
	ask := extract.Window{Start: at("2026-02-11"), End: w.Window.End}
	if err := w.Begin(t.Context(), ask, noon); err != nil {
		t.Fatal(err)
	}
	h.stage(w, []string{"10 - DE 10 10"})
	if err := w.Stage(t.Context(), w.Lists[1], h.page(w, "", "10 a DE 10 10", "20 a DE 10 10")); err != nil {
		t.Fatal(err)
	}
	h.publish(w, true)
	h.setFeeds(fresh)
	equal(t, "feeds", h.rows(feedSQL, "day"), "day/sim -infinity 02-11", "day/sim@country 02-11 infinity")
	equal(t, "days", h.rows(`SELECT day, data_total FROM usage.sim_daily ORDER BY 1`), "2026-02-01 2", "2026-02-11 20", "2026-02-21 20")
	// A month cannot be read from two streams: it stays whole.
	equal(t, "feeds by month", h.rows(feedSQL, "month"), "day/sim -infinity 03-01", "day/sim@country 03-01 infinity")
	equal(t, "months", h.rows(`SELECT month, data_total FROM usage.sim_monthly ORDER BY 1`), "2026-02-01 6")
}

func TestSwitchOfFeedsByMonth(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	old, fresh := h.feed("hour/sim")[0], h.stream("hour/sim@country")
	for _, day := range []string{"2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"} {
		h.load(old, day, true, "00 a - 1 1")
		if day != "2026-02-27" {
			h.load(fresh, day, true, "00 a DE 10 10")
		}
	}
	h.setFeeds(fresh)
	equal(t, "feeds by day", h.rows(feedSQL, "day"), "hour/sim -infinity 02-28", "hour/sim@country 02-28 infinity")
	equal(t, "feeds by month", h.rows(feedSQL, "month"), "hour/sim -infinity 03-01", "hour/sim@country 03-01 infinity")
	equal(t, "months", h.rows(`SELECT month, data_total FROM usage.sim_monthly ORDER BY 1`), "2026-02-01 4", "2026-03-01 40")
}

// A stream that has nothing holds nobody up.
func TestSwitchOfFeedsFromNothing(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.feed("hour/sim")
	if said := h.setFeeds(h.stream("hour/sim@country")); len(said) > 0 {
		t.Errorf("%+v", said)
	}
	equal(t, "feeds", h.rows(feedSQL, "day"), "hour/sim@country -infinity infinity")
}
