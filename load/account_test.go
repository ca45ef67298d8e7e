package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
)

const otherSID = "AC0000000000000000000000000000000b"

func TestAccount(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t, prepared)
	s, err := Open(t.Context(), url, Options{Owner: "process 1"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	steps := []struct{ name, sid, want string }{ // in this order: each stands on what those before it stored
		{"", accountSID, "1  a"},
		{"", accountSID, "1  a"},
		{"main", accountSID, "1 main a"}, // a new name keeps the identity
		{"main", "", "1 main a"},         // credentials that do not tell the SID
		{"main", otherSID, "the warehouse has " + accountSID + " under this name, the credentials are of " + otherSID},
		{"emea", otherSID, "2 emea b"},
		{"emea", accountSID, "the warehouse has " + otherSID + " under this name"},
		{"main", otherSID, "the warehouse has " + accountSID + " under this name"},
		{"keyed", "", "3 keyed "},
		{"keyed", "", "3 keyed "},
		{"keyed", otherSID, otherSID + " is stored under another name already"}, // two names for one account
		{"keyed", "AC0000000000000000000000000000000c", "3 keyed c"},
		{"", "", "4  "},
	}
	for i, step := range steps {
		a, err := s.Account(t.Context(), step.name, step.sid, noon.Add(time.Duration(i)*time.Hour))
		if err != nil {
			if !errors.Is(err, ErrAccount) || !strings.Contains(err.Error(), fmt.Sprintf("account %q: ", step.name)) || !strings.Contains(err.Error(), step.want) {
				t.Errorf("step %d, %q %s: %v, want %s", i, step.name, step.sid, err, step.want)
			}
			continue
		}
		if got := fmt.Sprint(a.ID, " ", a.Name, " ", a.SID[max(len(a.SID)-1, 0):]); got != step.want {
			t.Errorf("step %d, %q %s: %s, want %s", i, step.name, step.sid, got, step.want)
		}
		if a.ID == 1 && !a.Created.Equal(noon) {
			t.Errorf("step %d: the account was created at %v", i, a.Created)
		}
	}
}

// Credentials of a key do not tell the account; the first records do. From then on others are refused.
func TestAccountLearntFromRecords(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	unknown, err := h.Account(t.Context(), "keyed", "", noon)
	if err != nil {
		t.Fatal(err)
	}
	st := MustStream(t, h.Store, unknown, "hour/sim")
	stage := func(w *Walk, sids ...string) error {
		p := h.page(w, "https://api/next")
		for i, sid := range sids {
			p.Records = append(p.Records, h.page(w, "", fmt.Sprintf("%02d a - 1 1", i)).Records...)
			p.Records[i].AccountSID = sid
		}
		return w.Stage(t.Context(), w.Lists[0], p)
	}
	w, beside := h.walk(h.Store, st, "2026-03-09"), h.walk(h.Store, st, "2026-03-10")
	if err := stage(w, otherSID, accountSID); !errors.Is(err, ErrAccount) {
		t.Errorf("a page of two accounts: %v", err)
	}
	if err := stage(w, "", otherSID, otherSID); err != nil {
		t.Error(err)
	}
	if err := stage(beside, accountSID); !errors.Is(err, ErrAccount) { // it began before anybody knew
		t.Errorf("another account beside it: %v", err)
	}
	if err := stage(beside, otherSID); err != nil {
		t.Error(err)
	}
	equal(t, "accounts", h.rows(`SELECT name, sid FROM simusage.account ORDER BY id`), " "+accountSID, "keyed "+otherSID)

	twin, err := h.Account(t.Context(), "twin", "", noon)
	if err != nil {
		t.Fatal(err)
	}
	w = h.walk(h.Store, MustStream(t, h.Store, twin, "hour/sim"), "2026-03-09")
	if err := stage(w, otherSID); !errors.Is(err, ErrAccount) || !strings.Contains(err.Error(), otherSID+" is stored under another name already") {
		t.Errorf("two names for one account: %v", err)
	}
	equal(t, "staged of it", h.rows(`SELECT count(*) FROM `+w.stage()), "0")
}

// Many processes that start at once with an empty warehouse find the same account, streams, series and currencies.
func TestFirstOfManyProcesses(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	var group errgroup.Group
	for n := range 6 {
		s := h.process(fmt.Sprint("process ", n+2), time.Minute)
		group.Go(func() error {
			a, err := s.Account(t.Context(), "new", otherSID, noon)
			if err != nil {
				return err
			}
			st := MustStream(t, s, a, "hour/sim")
			page := h.page(&Walk{Stream: st}, "", "00 a - 1 1", "00 b - 1 1", "00 c - 1 1", "00 d - 1 1")
			if n%2 == 0 { // met in another order
				page.Records[0], page.Records[3] = page.Records[3], page.Records[0]
			}
			if _, err := s.resolve(t.Context(), st.ID, page.Records); err != nil {
				return err
			}
			_, err = s.unit(t.Context(), "USD")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", h.rows(`SELECT (SELECT count(*) FROM simusage.account WHERE name = 'new'), (SELECT count(*) FROM simusage.stream), (SELECT count(*) FROM simusage.series), (SELECT count(*) FROM simusage.billed_unit)`),
		"1 1 4 2")
}

// A cache that is full answers for what it has, and says how much memory that takes, so that whoever limits it can make room.
func TestSeriesCacheStaysBounded(t *testing.T) {
	t.Parallel()
	var kept []int64
	c := newSeriesCache(func(bytes int64) { kept = append(kept, bytes) })
	const page = 50_001
	for stream := range int16(maxSeries/page + 2) {
		found := make(map[seriesKey]int32)
		for i := range int32(page) {
			found[seriesKey{stream: stream, sim: fmt.Sprint(i)}] = i + 1
		}
		c.add(found)
		if told := len(kept); len(c.ids) <= usualSeries && told > 0 {
			t.Fatalf("with %d series it asked for %d bytes", len(c.ids), kept[told-1])
		}
	}
	if len(c.ids) != maxSeries {
		t.Errorf("the cache has %d series, want %d", len(c.ids), maxSeries)
	}
	ids := make([]int32, 1)
	if missing := c.find(0, []extract.Record{{SimSID: "7"}}, ids); len(missing) > 0 || ids[0] != 8 {
		t.Errorf("the first series was forgotten: %v %v", missing, ids)
	}
	if last, want := kept[len(kept)-1], int64(maxSeries-usualSeries)*seriesBytes; last < want || last > want+want/10 {
		t.Errorf("told of %d bytes, want %d", last, want)
	}
	if !slices.IsSorted(kept) || len(kept) > 40 {
		t.Errorf("told %d times: %d", len(kept), kept)
	}
}
