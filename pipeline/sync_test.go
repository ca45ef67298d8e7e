package pipeline

import (
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

func TestSyncEqualsTheOracle(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
}

func TestSyncWithAThirdOfAllAnswersFaulty(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 2, Sims: 10}, fakeapi.Options{})
	b.api.Flaky(0.33, 7)
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
	if b.api.Statuses()[429] == 0 || b.api.Statuses()[500] == 0 {
		t.Errorf("no faults were made: %v", b.api.Statuses())
	}
}

func TestLateUsageAndBillingArrive(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 3, Sims: 10, Late: 0.3}, fakeapi.Options{})
	for range 4 {
		b.sync()
		b.equal("total", "country", "sim", "sim_country")
		b.clock.Advance(5 * time.Hour)
	}
}
