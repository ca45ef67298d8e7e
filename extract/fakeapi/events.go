package fakeapi

import (
	"cmp"
	"slices"
	"time"
)

// Event is what one SIM used within one hour, on one network, in one country, in the fleet that it was in then.
type Event struct {
	Start                        time.Time // the hour, UTC
	Sim, Fleet, Network, Country string    // the SIDs and the alpha-2 code; empty: not known
	Upload, Download             int64     // bytes

	// Billed and Unit count from BilledAt on; before, and for ever without a Unit, the API says 0 and null.
	Billed Money
	Unit   string

	// VisibleAt is when the API begins to show the event, GoneAt when it stops to; the zero GoneAt is never.
	VisibleAt, BilledAt, GoneAt time.Time
}

// visible says whether the API shows the event at a time.
func (e *Event) visible(at time.Time) bool {
	return !e.VisibleAt.After(at) && (e.GoneAt.IsZero() || at.Before(e.GoneAt))
}

// billed says whether the API shows the event's money at a time at which it shows the event.
func (e *Event) billed(at time.Time) bool {
	return e.Unit != "" && !e.BilledAt.After(at)
}

// Events are all events, also those gone or not yet visible, oldest hour first.
func (w *World) Events() []Event {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var events []Event
	for _, hour := range w.hours {
		events = append(events, hour...)
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Sim, b.Sim), cmp.Compare(a.Network, b.Network), a.VisibleAt.Compare(b.VisibleAt))
	})
	return events
}

// Add adds events. A zero VisibleAt or BilledAt is from ever on.
func (w *World) Add(events ...Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
	w.add(events...)
}

// Amend lets change alter each event that has not gone, in a copy, and keeps the copies that it returns true for.
// From the time on the API shows the copy, before it what it was: that is how a vendor restates usage. The zero time
// rewrites history, at once. Amend says how many events changed.
func (w *World) Amend(from time.Time, change func(*Event) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
	var changed []Event
	for hour, events := range w.hours {
		kept := events[:0:0]
		for _, e := range events {
			amended := e
			if !e.GoneAt.IsZero() || !change(&amended) {
				kept = append(kept, e)
				continue
			}
			if e.VisibleAt.Before(from) {
				e.GoneAt, amended.VisibleAt = from, from
				kept = append(kept, e)
			}
			changed = append(changed, amended)
		}
		w.hours[hour] = kept
	}
	w.add(changed...)
	return len(changed)
}

// Remove makes each event that matches go at a time; the zero time removes it from history too. It says how many.
func (w *World) Remove(from time.Time, match func(Event) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
	removed := 0
	for hour, events := range w.hours {
		kept := events[:0:0]
		for _, e := range events {
			if e.GoneAt.IsZero() && match(e) {
				removed++
				if !e.VisibleAt.Before(from) {
					continue
				}
				e.GoneAt = from
			}
			kept = append(kept, e)
		}
		w.hours[hour] = kept
	}
	return removed
}

// add files events under their hour. The caller holds the lock.
func (w *World) add(events ...Event) {
	for _, e := range events {
		e.Start = e.Start.UTC().Truncate(time.Hour)
		hour := hourOf(e.Start)
		w.hours[hour] = append(w.hours[hour], e)
	}
}

// hourOf is the number of the hour that t lies in, since 1970.
func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// currentVersion is how often the world was changed.
func (w *World) currentVersion() uint64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.version
}
