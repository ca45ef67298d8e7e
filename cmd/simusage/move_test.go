package main

import (
	"maps"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// kore is the other vendor's API, which shows the world under its account, and what leads to it, for an account of that prefix.
func (b *bench) kore(world *fakeapi.World, prefix string) env {
	b.t.Helper()
	url := serve(b.t, fakeapi.New(world, fakeapi.Options{Profile: fakeapi.Kore, Clock: func() time.Time { return b.now }}))
	return env{prefix + "SIMUSAGE_PROVIDER": "kore", prefix + "SIMUSAGE_BASE_URL": url, prefix + "SIMUSAGE_TOKEN_URL": url + fakeapi.TokenPath,
		"KORE_CLIENT_ID": "fake-client", "KORE_CLIENT_SECRET": "fake-secret"}
}

// The same account at another vendor is the same account: other credentials, and the history goes on.
func TestMoveOfTheSameAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 8}, fakeapi.Options{})
	b.must(0, "sync")
	b.now = b.now.Add(2 * time.Hour)
	maps.Copy(b.env, b.kore(b.world, ""))
	b.env["TWILIO_ACCOUNT_SID"], b.env["TWILIO_AUTH_TOKEN"] = "", ""
	b.must(0, "verify", "--from=2026-03-07", "--to=2026-03-09")
	b.must(0, "sync")
	b.equal(b.world)
	if accounts := b.query(`SELECT sid FROM simusage.account`); len(accounts) != 1 {
		t.Errorf("accounts %v", accounts)
	}
}

// Another account is refused by whoever asks for it under the name of the old one, and nothing is written.
func TestMoveToAnotherAccountIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 8}, fakeapi.Options{})
	b.must(0, "sync")
	facts := b.query(`SELECT h::text FROM simusage.usage_hourly h`)
	b.now = b.now.Add(2 * time.Hour)
	other := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 8, AccountSID: "AC" + strings.Repeat("e", 32), Sims: 6, Start: b.since, End: noon.AddDate(0, 0, 1)})
	maps.Copy(b.env, b.kore(other, ""))
	for _, args := range [][]string{{"verify", "--from=2026-03-07", "--to=2026-03-10"}, {"sync"}, {"backfill", "--from=2026-03-07", "--to=2026-03-10", "--again"}} {
		if r := b.must(2, args...); !strings.Contains(r.stderr, "give the new one its own name in SIMUSAGE_ACCOUNTS") {
			t.Errorf("%s says %s", args[0], r.stderr)
		}
	}
	if now := b.query(`SELECT h::text FROM simusage.usage_hourly h`); strings.Join(now, "\n") != strings.Join(facts, "\n") {
		t.Errorf("facts were written%s", firstDifference(now, facts))
	}
}
