package fakeapi_test

import (
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// BenchmarkWorld builds 50 SIMs for 30 days.
func BenchmarkWorld(b *testing.B) {
	for range b.N {
		fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 50})
	}
}

// BenchmarkPage asks for a page in the middle of a list of a million records, which is summed up already.
func BenchmarkPage(b *testing.B) {
	end := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	start := end.Add(-100 * time.Hour)
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 12_000, Start: start, End: end, Density: 1})
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now})
	begin := time.Now()
	first := mustDecode[usagePage](b, get(b, server, "/v1/UsageRecords?Granularity=hour&Group=sim&PageSize=1000&"+window(start, end)))
	sum := time.Since(begin)
	b.ReportAllocs()
	for b.Loop() {
		get(b, server, *first.Meta.Next)
	}
	b.ReportMetric(float64(sum.Milliseconds()), "ms/first-page")
}
