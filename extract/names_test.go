package extract

import (
	"errors"
	"iter"
	"testing"

	"simusage/extract/fakeapi"
)

// TestNames reads the three lists, in small pages and through faults, and finds what the world holds.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, script := range [][]string{nil, {"every 3: 500", "every 4: truncate", "every 5: 429"}} {
		a := startAPI(t, fakeapi.Options{})
		a.script(t, script...)
		a.config.PageSize = 7
		c := mustClient(t, a.config)

		sims := gather(t, c.Sims(t.Context()))
		want := make(map[string]fakeapi.Sim)
		for _, sim := range a.World().Sims() {
			want[sim.SID] = sim
		}
		for _, got := range sims {
			sim := want[got.SID]
			if got.UniqueName != sim.UniqueName || got.ICCID != sim.ICCID || got.Status != sim.Status || got.FleetSID != sim.FleetAt(at(t, now)) || !got.Created.Equal(sim.Created) {
				t.Errorf("SIM %+v, want %+v", got, sim)
			}
			delete(want, got.SID)
		}
		if len(want) > 0 {
			t.Errorf("%d SIMs are missing", len(want))
		}

		fleets := a.World().Fleets()
		for i, got := range gather(t, c.Fleets(t.Context())) {
			if f := fleets[i]; got.SID != f.SID || got.UniqueName != f.UniqueName || got.DataLimit == nil || *got.DataLimit != int64(f.DataLimit) || got.ProfileSID != f.ProfileSID {
				t.Errorf("fleet %+v, want %+v", got, f)
			}
		}

		networks := a.World().Networks()
		for i, got := range gather(t, c.Networks(t.Context())) {
			n := networks[i]
			if got.SID != n.SID || got.Name != n.Name || got.IsoCountry != n.Country || len(got.Identifiers) != len(n.Identifiers) {
				t.Errorf("network %+v, want %+v", got, n)
			}
			for j, id := range got.Identifiers {
				if id.MCC != n.Identifiers[j].MCC || id.MNC != n.Identifiers[j].MNC {
					t.Errorf("network %s: identifier %+v, want %+v", n.SID, id, n.Identifiers[j])
				}
			}
		}
	}
}

// TestNamesThatAreNone ends with an error instead of an empty list.
func TestNamesThatAreNone(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]error{
		"always: wrong-host evil.example": ErrAnswer,
		"always: loop":                    ErrAnswer,
		"always: 401":                     ErrCredentials,
		"always: 500":                     ErrUnreachable,
		"always: ignore PageSize":         ErrAnswer,
	} {
		a := startAPI(t, fakeapi.Options{})
		a.script(t, line)
		a.config.PageSize = 7
		var err error
		for _, err = range mustClient(t, a.config).Sims(t.Context()) {
			if err != nil {
				break
			}
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", line, err, want)
		}
	}
}

// gather reads a list whose fields are all known and all there.
func gather[T any](t *testing.T, pages iter.Seq2[*Page[T], error]) []T {
	t.Helper()
	var all []T
	turns := 0
	for page, err := range pages {
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Drift) > 0 {
			t.Errorf("drift is %v", page.Drift)
		}
		all = append(all, page.Records...)
		turns++
	}
	if len(all) == 0 || (len(all) > 7 && turns < 2) {
		t.Fatalf("%d rows on %d pages", len(all), turns)
	}
	return all
}
