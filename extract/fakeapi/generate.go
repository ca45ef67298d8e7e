package fakeapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// withDefaults is the configuration with its documented defaults filled in.
func (c WorldConfig) withDefaults() WorldConfig {
	const window = 30 * 24 * time.Hour
	if c.AccountSID == "" {
		c.AccountSID = sid("AC", c.Seed, 0)
	}
	if c.End.IsZero() && !c.Start.IsZero() {
		c.End = c.Start.Add(window)
	}
	if c.End.IsZero() {
		c.End = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	}
	if c.Start.IsZero() {
		c.Start = c.End.Add(-window)
	}
	c.Start, c.End = c.Start.UTC().Truncate(time.Hour), c.End.UTC().Truncate(time.Hour)
	for _, n := range []struct {
		field     *int
		otherwise int
	}{{&c.Sims, 20}, {&c.Fleets, 3}, {&c.Networks, 6}} {
		if *n.field == 0 {
			*n.field = n.otherwise
		}
	}
	if len(c.Countries) == 0 {
		c.Countries = []string{"DE", "FR", "US", "GB", "NL"}
	}
	if c.Density == 0 {
		c.Density = 0.5
	}
	if c.Late == 0 {
		c.Late = 0.05
	}
	if c.Unit == "" {
		c.Unit = "USD"
	}
	return c
}

// generate fills an empty world. Each SIM has random numbers of its own, so that one SIM more changes no other.
func (w *World) generate(c WorldConfig) {
	created := c.Start.AddDate(0, -6, 0)
	for i := range c.Fleets {
		fleet := Fleet{SID: sid("HF", c.Seed, i), UniqueName: fmt.Sprintf("fleet-%02d", i), DataLimit: 250 * (i + 1), ProfileSID: sid("HA", c.Seed, i), Created: created}
		if i%4 == 3 {
			fleet.UniqueName = ""
		}
		w.fleets = append(w.fleets, fleet)
	}
	for i := range c.Networks {
		w.networks = append(w.networks, network(c, i))
	}
	for i := range c.Sims {
		g := simGenerator{config: c, world: w, index: i, random: rand.New(rand.NewPCG(c.Seed, uint64(i)))}
		g.sim = g.makeSim(created)
		w.sims = append(w.sims, g.sim)
		if g.sim.Status == "active" {
			g.makeUsage()
		}
	}
}

// network makes up the network of that number. The first one also has the identifier of test networks, which begins
// with zeros, so that reading identifiers as numbers shows.
func network(c WorldConfig, i int) Network {
	country := c.Countries[i%len(c.Countries)]
	mcc := map[string]string{"DE": "262", "FR": "208", "US": "310", "GB": "234", "NL": "204"}[country]
	if mcc == "" {
		mcc = fmt.Sprint(400 + i%len(c.Countries))
	}
	n := Network{SID: sid("HW", c.Seed, i), Name: fmt.Sprintf("%s Mobile %d", country, i), Country: country, Identifiers: []Identifier{{MCC: mcc, MNC: fmt.Sprintf("%02d", i+1)}}}
	if i == 0 {
		n.Identifiers = append(n.Identifiers, Identifier{MCC: "001", MNC: "001"})
	}
	return n
}

// simGenerator makes up one SIM and its usage.
type simGenerator struct {
	config WorldConfig
	world  *World
	index  int
	random *rand.Rand
	sim    Sim
	made   int // events so far
}

func (g *simGenerator) makeSim(created time.Time) Sim {
	sim := Sim{
		SID:        sid("HS", g.config.Seed, g.index),
		UniqueName: fmt.Sprintf("meter-%05d", g.index),
		ICCID:      fmt.Sprintf("8988307%013d", g.index),
		Status:     "active",
		Created:    created.Add(time.Duration(g.index) * time.Minute),
	}
	if g.index%6 == 3 {
		sim.UniqueName = ""
	}
	if g.index%8 == 5 {
		sim.Status = []string{"inactive", "ready", "new", "scheduled"}[g.index/8%4]
	}
	fleet := g.random.IntN(len(g.world.fleets))
	sim.Moves = []Move{{At: sim.Created, Fleet: g.world.fleets[fleet].SID}}
	hours := int(g.config.End.Sub(g.config.Start) / time.Hour)
	if g.index%5 == 2 && hours > 1 && len(g.world.fleets) > 1 {
		at := g.config.Start.Add(time.Duration(1+g.random.IntN(hours-1)) * time.Hour)
		sim.Moves = append(sim.Moves, Move{At: at, Fleet: g.world.fleets[(fleet+1)%len(g.world.fleets)].SID})
	}
	return sim
}

// makeUsage goes through the hours. A roaming SIM may use two or three networks within one hour.
func (g *simGenerator) makeUsage() {
	networks := g.world.networks
	home := g.random.IntN(len(networks))
	for hour := g.config.Start; hour.Before(g.config.End); hour = hour.Add(time.Hour) {
		if g.random.Float64() >= g.config.Density {
			continue
		}
		g.makeEvent(hour, networks[home])
		for away := 1; g.index%4 == 1 && away <= 2 && away < len(networks); away++ {
			if g.random.IntN(2) == 0 {
				g.makeEvent(hour, networks[(home+away)%len(networks)])
			}
		}
	}
}

func (g *simGenerator) makeEvent(hour time.Time, on Network) {
	r := g.random
	e := Event{Start: hour, Sim: g.sim.SID, Fleet: g.sim.FleetAt(hour), Network: on.SID, Country: on.Country, Unit: g.config.Unit}
	if r.Float64() < g.config.Unattributed {
		e.Network, e.Country = "", ""
	}
	if g.config.SecondUnit != "" && g.index%3 == 2 {
		e.Unit = g.config.SecondUnit
	}
	e.Upload, e.Download = 1+r.Int64N(1<<(8+r.IntN(15))), r.Int64N(1<<(8+r.IntN(18)))
	e.Billed = price(e.Upload+e.Download, r)
	if g.index == 0 && g.made < 3 {
		// More bytes than a float64 can count, odd so that rounding shows; three of them, because many would
		// overflow the sum of the account.
		e.Download, e.Billed = 1<<53+1+2*r.Int64N(1<<20), 1_234_567_800_000
	}
	g.made++

	end := hour.Add(time.Hour)
	e.VisibleAt = end.Add(time.Duration(1+r.IntN(11)) * 5 * time.Minute)
	e.BilledAt = end.Add(time.Duration(20+r.IntN(6)) * time.Hour)
	if r.Float64() < g.config.Late {
		e.VisibleAt = end.Add(time.Duration(1+r.IntN(47)) * time.Hour)
	}
	if e.BilledAt.Before(e.VisibleAt) {
		e.BilledAt = e.VisibleAt.Add(time.Duration(1+r.IntN(5)) * time.Hour)
	}
	g.world.add(e)
}

// price is two hundredths of a unit for a megabyte, cut to two, four, seven or twelve digits, and now and then nothing.
func price(bytes int64, r *rand.Rand) Money {
	cut := []Money{1e10, 1e8, 1e5, 1, 1e12}[r.IntN(5)]
	full := Money(bytes) * 20_000
	return full - full%cut
}

// sid makes up a SID: two letters and 32 hexadecimal digits.
func sid(prefix string, seed uint64, i int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", prefix, seed, i))
	return prefix + hex.EncodeToString(sum[:16])
}
