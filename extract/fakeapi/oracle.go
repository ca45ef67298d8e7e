package fakeapi

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Row is one sum of the oracle. Dimensions that were not asked for are empty, and so is a dimension that is not known.
type Row struct {
	Start                        time.Time
	Sim, Fleet, Network, Country string
	Upload, Download, Total      int64
	Billed                       string // a decimal without trailing zeros; "0" when nothing is billed
	Unit                         string // empty when nothing is billed, or when the sum mixes two units
}

// Sum is what the API must say at a time about the usage in [from, to): one row for each bucket of granularity hour,
// day, month or all, and each combination of the dimensions sim, fleet, network, country that had usage. It goes
// through every event of the world and shares no code with the server, so that it can be slow and plain.
func (w *World) Sum(at, from, to time.Time, granularity string, dims ...string) []Row {
	w.mu.RLock()
	defer w.mu.RUnlock()
	sums := map[Row]*oracleSum{}
	for _, events := range w.hours {
		for _, e := range events {
			gone := !e.GoneAt.IsZero() && !e.GoneAt.After(at)
			if e.VisibleAt.After(at) || gone || e.Start.Before(from) || !e.Start.Before(to) {
				continue
			}
			key := oracleKey(e, from, granularity, dims)
			if sums[key] == nil {
				sums[key] = &oracleSum{}
			}
			sums[key].add(e, at)
		}
	}
	rows := make([]Row, 0, len(sums))
	for key, sum := range sums {
		rows = append(rows, sum.row(key))
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Sim, b.Sim), cmp.Compare(a.Fleet, b.Fleet), cmp.Compare(a.Network, b.Network), cmp.Compare(a.Country, b.Country))
	})
	return rows
}

// oracleKey is the row that an event belongs to, without its sums.
func oracleKey(e Event, from time.Time, granularity string, dims []string) Row {
	start := e.Start.UTC()
	key := Row{Start: from.UTC()}
	switch granularity {
	case "hour":
		key.Start = start
	case "day":
		key.Start = time.Date(start.Year(), start.Month(), start.Day(), 0, 0, 0, 0, time.UTC)
	case "month":
		key.Start = time.Date(start.Year(), start.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	for _, d := range dims {
		switch d {
		case "sim":
			key.Sim = e.Sim
		case "fleet":
			key.Fleet = e.Fleet
		case "network":
			key.Network = e.Network
		case "country":
			key.Country = e.Country
		}
	}
	return key
}

// oracleSum adds up the events of one row, money in integers of any size.
type oracleSum struct {
	upload, download int64
	billed           big.Int
	units            []string
}

func (s *oracleSum) add(e Event, at time.Time) {
	s.upload += e.Upload
	s.download += e.Download
	if e.BilledAt.After(at) || e.Unit == "" {
		return
	}
	s.billed.Add(&s.billed, big.NewInt(int64(e.Billed)))
	if !slices.Contains(s.units, e.Unit) {
		s.units = append(s.units, e.Unit)
	}
}

func (s *oracleSum) row(key Row) Row {
	key.Upload, key.Download, key.Total = s.upload, s.download, s.upload+s.download
	key.Billed = "0"
	if len(s.units) == 1 {
		exact := new(big.Rat).SetFrac(&s.billed, big.NewInt(1_000_000_000_000))
		key.Billed = strings.TrimSuffix(strings.TrimRight(exact.FloatString(12), "0"), ".")
		key.Unit = s.units[0]
	}
	return key
}
