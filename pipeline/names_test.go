package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
)

func TestNamesFollowTheLists(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 40, Sims: 12}, fakeapi.Options{})
	b.streams = parseStreams(t, "hour/total", "hour/sim@country")
	b.api.Flaky(0.2, 3)
	b.sync()
	b.namesEqual()
	if iccids := b.query(`SELECT iccid FROM usage.sim WHERE iccid IS NOT NULL`); len(iccids) > 0 {
		t.Errorf("%d ICCIDs are stored without having been asked for", len(iccids))
	}

	// Names are read again when they are old, not with every run.
	sims := b.world.Sims()
	renamed, gone := sims[1].SID, sims[2].SID
	before := b.clock.Now()
	b.world.EditSims(func(s *fakeapi.Sim) bool {
		if s.SID == renamed {
			s.UniqueName, s.Status = "a new name", "inactive"
		}
		return s.SID != gone
	})
	b.clock.Advance(time.Hour)
	b.api.Reset()
	b.sync()
	for _, r := range b.api.Requests() {
		if strings.HasSuffix(r.Path, "/Sims") {
			t.Fatal("an hour later the SIMs were read again")
		}
	}
	b.clock.Advance(6 * time.Hour)
	b.sync()
	b.namesEqual()
	history := b.query(`SELECT sim_name, status, valid_to = 'infinity' FROM usage.sim_history WHERE sim_sid = $1`, renamed)
	if len(history) != 2 || !slices.Contains(history, "a new name inactive true") {
		t.Errorf("history of the renamed SIM: %q", history)
	}
	if n := b.query(`SELECT count(*) FROM usage.sim_history WHERE sim_sid = $1 AND valid_to > $2 AND valid_to < 'infinity'`, gone, before); n[0] != "1" {
		t.Errorf("the history of the SIM that is gone has no end")
	}
	if still := b.query(`SELECT sim_sid FROM usage.sim WHERE sim_sid = $1 AND gone_at IS NOT NULL`, gone); len(still) != 1 {
		t.Errorf("the SIM that is gone lost its name")
	}
	if left := b.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '^names_'`); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestNamesOnDemandAndICCIDs(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 41, Sims: 12}, fakeapi.Options{})
	for _, on := range []bool{true, false} {
		job := b.process()
		job.ICCID = on
		b.clock.Advance(time.Second)
		if err := job.Names(t.Context()); err != nil {
			t.Fatal(err)
		}
		stored := len(b.query(`SELECT iccid FROM usage.sim WHERE iccid IS NOT NULL`))
		if want := map[bool]int{true: 12, false: 0}[on]; stored != want {
			t.Errorf("ICCIDs switched on %t: %d are stored, want %d", on, stored, want)
		}
	}
	// An empty list where there were SIMs is not believed.
	b.world.EditSims(func(*fakeapi.Sim) bool { return false })
	b.clock.Advance(time.Second)
	if err := b.process().Names(t.Context()); err == nil || !strings.Contains(err.Error(), load.ErrNoNames.Error()) {
		t.Errorf("an empty list: %v", err)
	}
	if n := len(b.query(`SELECT sim_sid FROM usage.sim WHERE gone_at IS NULL`)); n != 12 {
		t.Errorf("%d SIMs are left", n)
	}
}

// A process that is killed while it reads the names keeps others from it for the length of a lease; one that takes longer than
// that keeps the lease.
func TestNamesOfAProcessThatWasKilled(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 46, Sims: 12}, fakeapi.Options{})
	b.lease = 2 * time.Second
	killed := b.process()
	now := b.clock.Now()
	account, err := killed.Store.Account(t.Context(), killed.Accounts[0].Name, killed.Accounts[0].SID, now)
	if err != nil {
		t.Fatal(err)
	}
	n, err := killed.Store.ClaimNames(t.Context(), account, now, now, false)
	if n == nil || err != nil {
		t.Fatal(n, err)
	}
	alive, kill := context.WithCancel(t.Context())
	var keeper sync.WaitGroup
	keeper.Go(func() { n.KeepAlive(alive) })
	slow := b.query(`SELECT names_claimed_until::text FROM simusage.account`)[0]
	for extended := 0; extended < 3; { // it lives for three times as long
		if until := b.query(`SELECT names_claimed_until::text FROM simusage.account`)[0]; until != slow {
			slow, extended = until, extended+1
		}
	}
	if other, err := b.process().Store.ClaimNames(t.Context(), account, now, now, false); other != nil || err != nil {
		t.Errorf("somebody else reads the names as well: %v, %v", other, err)
	}
	kill()
	keeper.Wait()
	if err := b.process().Names(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.namesEqual()
	if err := n.Publish(t.Context()); !errors.Is(err, load.ErrFenced) {
		t.Errorf("the killed one wakes up and publishes: %v", err)
	}
	b.namesEqual()
}

// namesEqual holds the names that readers see against the world.
func (b *bench) namesEqual() {
	b.t.Helper()
	now := b.clock.Now()
	fleets := make(map[string]string)
	var want []string
	for _, f := range b.world.Fleets() {
		fleets[f.SID] = f.UniqueName
		want = append(want, fmt.Sprint("fleet ", f.SID, " ", f.UniqueName, " ", f.DataLimit))
	}
	for _, n := range b.world.Networks() {
		want = append(want, fmt.Sprint("network ", n.SID, " ", n.Name, " ", n.Country, " ", n.Identifiers[0].MCC))
	}
	for _, s := range b.world.Sims() {
		fleet := s.FleetAt(now)
		want = append(want, fmt.Sprint("sim ", s.SID, " ", s.UniqueName, " ", s.Status, " ", fleet, " ", fleets[fleet]))
	}
	slices.Sort(want)
	got := b.query(`SELECT concat_ws(' ', 'sim', sim_sid, coalesce(sim_name, ''), status, fleet_sid, fleet_name) FROM usage.sim WHERE gone_at IS NULL
		UNION ALL SELECT concat_ws(' ', 'fleet', fleet_sid, fleet_name, data_limit) FROM usage.fleet
		UNION ALL SELECT concat_ws(' ', 'network', network_sid, network_name, iso_country, identifiers->0->>'mcc') FROM usage.network`)
	difference(b.t, "names", got, want)
	missing := b.query(`SELECT DISTINCT u.sim_sid FROM usage.sim_daily u JOIN usage.sim s USING (account_sid, sim_sid) WHERE u.sim_name IS DISTINCT FROM s.sim_name`)
	if len(missing) > 0 {
		b.t.Errorf("SIMs without their name in sim_daily: %q", missing)
	}
}
