package fakeapi

import (
	"slices"
	"sync"
	"time"
)

// WorldConfig says what kind of world to make up. The zero value is a small world of 20 SIMs and 30 days.
type WorldConfig struct {
	// Seed decides everything that is random: the same WorldConfig is the same world.
	Seed uint64

	// AccountSID is the account that everything belongs to. Default: made from the seed.
	AccountSID string

	// Start and End bound the usage, rounded down to UTC hours; End is exclusive and may lie in the future of the
	// server's clock. Default: the 30 days before 2026-03-01, or before or after the one that is given.
	Start, End time.Time

	// Sims, Fleets and Networks are how many there are. Defaults: 20, 3 and 6; negative Sims: none, for a world that
	// is filled by Add. In every eight SIMs one is idle, in every five one moves to another fleet within the window,
	// in every four one roams.
	Sims, Fleets, Networks int

	// Countries are the alpha-2 codes that the networks lie in, in turn. Default: DE, FR, US, GB, NL.
	Countries []string

	// Density is the share of the hours in which a SIM that is not idle has usage. Default: 0.5.
	Density float64

	// Late is the share of the usage that the API shows up to 48 hours late instead of within the hour. Default:
	// 0.05; negative: none.
	Late float64

	// Unattributed is the share of the usage whose network and country are not known. Default: none.
	Unattributed float64

	// Unit is the currency of the billing. Default: USD. SecondUnit, when set, is the currency of every third SIM, so
	// that a record of one SIM never mixes two. A record that does mix them (a total) has amount 0 and no unit, like
	// usage that is not billed yet, because no sum of it would be true.
	Unit, SecondUnit string
}

// Sim is a SIM as /v1/Sims lists it.
type Sim struct {
	SID        string
	UniqueName string // empty: null
	ICCID      string
	Status     string
	Moves      []Move // oldest first; the first is at Created
	Created    time.Time
}

// Move is a SIM's arrival in a fleet.
type Move struct {
	At    time.Time
	Fleet string
}

// FleetAt is the SID of the fleet that the SIM is in at t, empty before its first.
func (s Sim) FleetAt(t time.Time) string {
	fleet := ""
	for _, m := range s.Moves {
		if !m.At.After(t) {
			fleet = m.Fleet
		}
	}
	return fleet
}

// updatedAt is when the SIM changed last, as seen at t.
func (s Sim) updatedAt(t time.Time) time.Time {
	updated := s.Created
	for _, m := range s.Moves {
		if !m.At.After(t) && m.At.After(updated) {
			updated = m.At
		}
	}
	return updated
}

// Fleet is a fleet as /v1/Fleets lists it.
type Fleet struct {
	SID        string
	UniqueName string // empty: null
	DataLimit  int    // MB
	ProfileSID string
	Created    time.Time
}

// Network is a mobile operator's network as /v1/Networks lists it.
type Network struct {
	SID         string
	Name        string
	Country     string
	Identifiers []Identifier
}

// Identifier is one of a network's number pairs; both keep their leading zeros.
type Identifier struct {
	MCC string `json:"mcc"`
	MNC string `json:"mnc"`
}

// World is everything that happened to the SIMs of one account. It is safe for concurrent use.
type World struct {
	account string
	seed    uint64

	mu       sync.RWMutex
	sims     []Sim
	fleets   []Fleet
	networks []Network
	hours    map[int64][]Event // by the hour of Start, in hours since 1970
	version  uint64            // counts the changes, so that a list computed from an older one is known as such
}

// NewWorld makes up a world.
func NewWorld(config WorldConfig) *World {
	config = config.withDefaults()
	w := &World{account: config.AccountSID, seed: config.Seed, hours: map[int64][]Event{}}
	w.generate(config)
	return w
}

// AccountSID is the account that the world belongs to.
func (w *World) AccountSID() string { return w.account }

// Sims are all SIMs, idle ones too, in the order of the API's list.
func (w *World) Sims() []Sim {
	w.mu.RLock()
	defer w.mu.RUnlock()
	sims := slices.Clone(w.sims)
	for i := range sims {
		sims[i].Moves = slices.Clone(sims[i].Moves)
	}
	return sims
}

// Fleets are all fleets, in the order of the API's list.
func (w *World) Fleets() []Fleet {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.Clone(w.fleets)
}

// Networks are all networks, in the order of the API's list.
func (w *World) Networks() []Network {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.Clone(w.networks)
}

// EditSims lets edit change each SIM and deletes those that it returns false for. Their usage stays.
func (w *World) EditSims(edit func(*Sim) (keep bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var kept []Sim
	for _, sim := range w.sims {
		sim.Moves = slices.Clone(sim.Moves)
		if edit(&sim) {
			kept = append(kept, sim)
		}
	}
	w.sims = kept
	w.version++
}

// AddSims adds SIMs at the end of the list.
func (w *World) AddSims(sims ...Sim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sims = append(slices.Clip(w.sims), sims...)
	w.version++
}
