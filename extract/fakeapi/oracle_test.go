package fakeapi_test

import (
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// dimension is one of the four, in the words of the oracle and of the API.
type dimension struct {
	name, group, filter string
	of                  func(fakeapi.Row) string
}

func dimensions() []dimension {
	return []dimension{
		{"sim", "sim", "Sim", func(r fakeapi.Row) string { return r.Sim }},
		{"fleet", "fleet", "Fleet", func(r fakeapi.Row) string { return r.Fleet }},
		{"network", "network", "Network", func(r fakeapi.Row) string { return r.Network }},
		{"country", "isoCountry", "IsoCountry", func(r fakeapi.Row) string { return r.Country }},
	}
}

// TestAnswersAddUpToOracle walks every granularity, group and filter in small pages, in the middle of late usage and
// billing, and compares each record.
func TestAnswersAddUpToOracle(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 7, Unattributed: 0.1, Late: 0.2, SecondUnit: "EUR"})
	now := time.Date(2026, 2, 20, 9, 17, 0, 0, time.UTC)
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(now).Now})
	from, to := time.Date(2026, 2, 17, 5, 0, 0, 0, time.UTC), time.Date(2026, 2, 20, 7, 0, 0, 0, time.UTC)
	for _, granularity := range []string{"hour", "day", "all"} {
		for _, group := range append(dimensions(), dimension{name: "none"}) {
			for _, filter := range append(dimensions(), dimension{name: "none"}) {
				t.Run(granularity+"/"+group.name+"@"+filter.name, func(t *testing.T) {
					t.Parallel()
					want := world.Sum(now, from, to, granularity, group.name, filter.name)
					base := window(from, to) + "&PageSize=37&Granularity=" + granularity + "&Group=" + group.group
					for _, value := range values(want, filter) {
						narrowed := want
						if filter.of != nil {
							narrowed = slices.DeleteFunc(slices.Clone(want), func(r fakeapi.Row) bool { return filter.of(r) != value })
						}
						got := mustWalk(t, server, base+"&"+filter.filter+"="+url.QueryEscape(value))
						equalRows(t, rows(atBucket(got, granularity)), narrowed)
					}
				})
			}
		}
	}
}

// atBucket checks the width of each record's bucket.
func atBucket(records []record, granularity string) []record {
	width := map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour}[granularity]
	for i, r := range records {
		if width != 0 && r.Period.End.Sub(r.Period.Start) != width {
			records[i].Billed = fmt.Sprintf("a %s of %s", granularity, r.Period.End.Sub(r.Period.Start))
		}
	}
	return records
}

// values are those of a filter that occur, at most five, or one empty one for no filter.
func values(want []fakeapi.Row, filter dimension) []string {
	if filter.of == nil {
		return []string{""}
	}
	var found []string
	for _, r := range want {
		if v := filter.of(r); v != "" && !slices.Contains(found, v) && len(found) < 5 {
			found = append(found, v)
		}
	}
	return found
}

// TestOracleByHand holds the oracle itself against sums done by hand.
func TestOracleByHand(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: -1})
	hour := time.Date(2026, 2, 3, 4, 0, 0, 0, time.UTC)
	add := func(sim string, start time.Time, bytes int64, billed string) {
		m, err := fakeapi.ParseMoney(billed)
		if err != nil {
			t.Fatal(err)
		}
		world.Add(fakeapi.Event{Start: start, Sim: sim, Fleet: "F", Network: "N", Country: "DE", Upload: bytes, Download: 1, Billed: m, Unit: "USD",
			VisibleAt: start.Add(2 * time.Hour), BilledAt: start.Add(24 * time.Hour)})
	}
	add("A", hour, 10, "0.03")
	add("A", hour.Add(time.Hour), 1<<53, "1.234567800001")
	add("B", hour.Add(30*time.Minute), 5, "0")
	month := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	late := hour.AddDate(0, 0, 5)
	for _, test := range []struct {
		name        string
		at          time.Time
		granularity string
		dims        []string
		want        []fakeapi.Row
	}{
		{"nothing seen yet", hour.Add(time.Hour), "all", nil, nil},
		{"bytes before money", hour.Add(150 * time.Minute), "day", []string{"sim", "country"}, []fakeapi.Row{
			{Start: hour.Truncate(24 * time.Hour), Sim: "A", Country: "DE", Upload: 10, Download: 1, Total: 11, Billed: "0"},
			{Start: hour.Truncate(24 * time.Hour), Sim: "B", Country: "DE", Upload: 5, Download: 1, Total: 6, Billed: "0"},
		}},
		{"half of the money", hour.Add(24 * time.Hour), "month", nil, []fakeapi.Row{
			{Start: month, Upload: 1<<53 + 15, Download: 3, Total: 1<<53 + 18, Billed: "0.03", Unit: "USD"},
		}},
		{"all", late, "hour", []string{"fleet"}, []fakeapi.Row{
			{Start: hour, Fleet: "F", Upload: 15, Download: 2, Total: 17, Billed: "0.03", Unit: "USD"},
			{Start: hour.Add(time.Hour), Fleet: "F", Upload: 1 << 53, Download: 1, Total: 1<<53 + 1, Billed: "1.234567800001", Unit: "USD"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			equalRows(t, world.Sum(test.at, month, late, test.granularity, test.dims...), test.want)
		})
	}
}

func TestMoney(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "0.03", "1.2345678", "10", "0.000000000001", "9000000.5"} {
		m, err := fakeapi.ParseMoney(text)
		if err != nil || m.String() != text {
			t.Errorf("ParseMoney(%q) = %s, %v", text, m, err)
		}
		if want, _ := new(big.Rat).SetString(text); want.Cmp(big.NewRat(int64(m), 1e12)) != 0 {
			t.Errorf("ParseMoney(%q) is %d", text, int64(m))
		}
	}
	for _, text := range []string{"", ".5", "1e3", "0.0000000000001", "10000000", "-", "x"} {
		if m, err := fakeapi.ParseMoney(text); err == nil {
			t.Errorf("ParseMoney(%q) = %s, want an error", text, m)
		}
	}
	if got := fakeapi.Money(-30_000_000_000).String(); got != "-0.03" {
		t.Errorf("got %s", got)
	}
}
