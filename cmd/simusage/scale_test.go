package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"simusage/load"
)

// The tables of deploy/SCALE.md are what plan --sims works out, for a fleet in five countries in the middle of a month.
func TestScale(t *testing.T) {
	t.Parallel()
	const page = "../../deploy/SCALE.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	wanted := text
	for _, provider := range []string{"twilio", "kore"} {
		for _, c := range []struct{ name, streams, refresh string }{
			{"hourly", "hour/total,hour/country,hour/sim@country", "1h"},
			{"daily", "day/total,day/country,day/sim@country", "24h"},
		} {
			begin, end := fmt.Sprintf("<!-- %s, %s -->\n", provider, c.name), "<!-- end -->\n"
			from := bytes.Index(wanted, []byte(begin))
			if from < 0 {
				t.Fatalf("%s has no line %q", page, begin)
			}
			from += len(begin)
			length := bytes.Index(wanted[from:], []byte(end))
			if length < 0 {
				t.Fatalf("%s: no line %q after %q", page, end, begin)
			}
			var table strings.Builder
			fmt.Fprintln(&table, "| SIMs | rows a month | GB a month | GB, 18 months | first load, requests | takes | read again after | requests a day | processes | database | first to give in |")
			fmt.Fprintln(&table, "|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|")
			for _, sims := range []int64{1000, 10_000, 100_000, 1_000_000, 10_000_000} {
				fmt.Fprintln(&table, scaleRow(t, provider, c.streams, c.refresh, sims))
			}
			wanted = bytes.Join([][]byte{wanted[:from], []byte(table.String()), wanted[from+length:]}, nil)
		}
	}
	if bytes.Equal(text, wanted) {
		return
	}
	if *update {
		if err := os.WriteFile(page, wanted, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is not what the program works out; look at what changed: go test ./cmd/simusage -run TestScale -update && git diff %s", page, page)
}

func scaleRow(t *testing.T, provider, streams, refresh string, sims int64) string {
	t.Helper()
	p := &program{
		env: envconfig.MapLookuper(env{"SIMUSAGE_PROVIDER": provider, "SIMUSAGE_STREAMS": streams, "SIMUSAGE_REFRESH": refresh, "SIMUSAGE_CONCURRENCY": "16"}),
		now: func() time.Time { return time.Date(2026, 3, 16, 12, 0, 0, 0, time.UTC) },
	}
	z, err := p.sizing(p.source(p.planCommand()), load.Fleet{SIMs: sims, Countries: 5})
	if err != nil {
		t.Fatal(err)
	}
	all, n := z.all(), z.need()
	again, processes := duration(n.refresh), fmt.Sprint(n.processes)
	if !n.keepsUp() {
		again, processes = "cannot keep up", ""
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |", rounded(sims), rounded(30*all.Stored), gigabytes(float64(all.Bytes)/1e9), gigabytes(n.gigabytes),
		rounded(all.First.Requests), duration(n.first), again, rounded(n.daily()), processes, n.database(), n.weakest())
}

// rounded is a number with three digits that count.
func rounded(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.3g%s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprint(n)
}
