package main

import (
	"fmt"
	"math"
	"time"

	"simusage/extract"
)

const million = 1_000_000

// fleet is the invented usage: every SIM uses something in every hour, in one country, and each day says the same. So a
// day is made once and only its date changes, and fifty million rows need the memory of one day.
type fleet struct {
	SIMs      int
	Countries int
}

// shape is the fleet and the days that make about so many rows: a million is some 2,000 SIMs for 20 days, and from there
// SIMs and days grow alike. Days come by ten, so that a tenth of the time is whole days.
func shape(rows int) (f fleet, days int) {
	days = 10 * max(1, int(math.Round(2*math.Sqrt(float64(rows)/million))))
	return fleet{SIMs: max(4, (rows+24*days-1)/(24*days)), Countries: 4}, days
}

// until is the window of so many days that ends with the last UTC day that is over.
func until(now time.Time, days int) extract.Window {
	end := now.UTC().Truncate(24 * time.Hour)
	return extract.Window{Start: end.AddDate(0, 0, -days), End: end}
}

// length is how many days a window has.
func length(w extract.Window) int { return int(w.End.Sub(w.Start) / (24 * time.Hour)) }

// rows is how many records the default streams have in so many days.
func (f fleet) rows(days int) int { return days * 24 * (f.SIMs + f.Countries + 1) }

func (f fleet) String() string {
	return fmt.Sprintf("%s SIMs in %d countries", thousands(f.SIMs), f.Countries)
}

// change is what the API says another time.
type change int

const (
	original change = iota // as it said first
	some                   // one row in twenty says something else, all over
	every                  // each row says something else, also than in some
	changes
)

// usage is what was used, its cost in ten-thousandths.
type usage struct{ upload, download, billed int64 }

func (u *usage) add(o usage) {
	u.upload += o.upload
	u.download += o.download
	u.billed += o.billed
}

// use is what a SIM uses in an hour of each day. The numbers always have as many digits, so that all records are of one
// length.
func (f fleet) use(sim, hour int, c change) usage {
	h := mix(uint64(sim*24 + hour))
	u := usage{upload: 100_000 + int64(h%800_000), download: 10_000_000 + int64(h>>20%80_000_000), billed: 1 + int64(h>>50%9_999)}
	switch {
	case c == every:
		u.upload += 2000
	case c == some && h>>7%20 == 0:
		u.upload += 1000
	}
	return u
}

// mix makes a number look like a random one.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// simSID is the SID of a SIM; like real ones they are in no order.
func simSID(sim int) string {
	return fmt.Sprintf("HS%016x%016x", mix(uint64(sim)), mix(uint64(sim)+1<<40))
}

// accountSID is the SID of an account, counted from 0.
func accountSID(n int) string { return fmt.Sprintf("AC%032d", n) }

// country is the code of a country, counted from 0.
func country(n int) string { return [...]string{"DE", "FR", "GB", "US", "JP"}[n] }

// everywhere stands for all countries together.
const everywhere = -1

// block is the SIMs of a country.
func (f fleet) block(country int) (first, until int) {
	if country == everywhere {
		return 0, f.SIMs
	}
	return country * f.SIMs / f.Countries, (country + 1) * f.SIMs / f.Countries
}

// sum is what a country uses in an hour of each day.
func (f fleet) sum(country, hour int, c change) usage {
	var total usage
	first, until := f.block(country)
	for sim := first; sim < until; sim++ {
		total.add(f.use(sim, hour, c))
	}
	return total
}

// fleets is how many fleets the SIMs are dealt out to.
const fleets = 50

func fleetSID(n int) string { return fmt.Sprintf("HF%032x", n) }

// sumOf is what a fleet uses in an hour of each day.
func (f fleet) sumOf(n, hour int, c change) usage {
	var total usage
	for sim := n; sim < f.SIMs; sim += fleets {
		total.add(f.use(sim, hour, c))
	}
	return total
}

// saying is what the API says at the moment: a change for the days before From, and one for those since.
type saying struct {
	Older, Newest change
	From          time.Time
}

// at is what it says of a time.
func (s saying) at(t time.Time) change {
	if t.Before(s.From) {
		return s.Older
	}
	return s.Newest
}
