package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

const (
	days     = 35
	sims     = 60
	flaky    = 0.1 // the share of all answers that fail
	seed     = 12  // with it, the share comes true early on
	password = "invented-by-the-demo"

	// later is how far the API's clock moves on: longer than billing takes (20 to 26 hours).
	later = 26 * time.Hour
)

// countries are where the invented SIMs are.
var countries = [...]string{"DE", "FR", "GB", "JP", "NL", "US"}

// stage is everything that the story needs around the program.
type stage struct {
	world      *fakeapi.World
	start, end time.Time // of the usage

	// clock is the API's. It is set before each step and stands still within it: usage appears at the API at some
	// moment, and between reading it and adding it up for the comparison no such moment may pass. offset is how far
	// it is ahead of real time.
	clock  *fakeapi.Clock
	offset time.Duration

	server   *http.Server
	apiURL   string
	postgres *pgtest.Server
	database string // its URL, as the owner

	dir     string // holds the program
	program program
}

// newStage invents the world; nothing of it is running yet.
func newStage(now time.Time) *stage {
	end := now.UTC().Truncate(time.Hour)
	start := end.AddDate(0, 0, -days).Truncate(24 * time.Hour)
	s := &stage{start: start, end: end, clock: fakeapi.NewClock(now)}
	s.world = fakeapi.NewWorld(fakeapi.WorldConfig{Seed: seed, Start: start, End: end, Sims: sims, Networks: 2 * len(countries), Countries: countries[:]})
	// A few hours of the simulated world have more bytes than a float can count, which is good for tests and would
	// dwarf everything else in the demo's tables.
	s.world.Amend(time.Time{}, func(e *fakeapi.Event) bool {
		if e.Download < 1<<53 {
			return false
		}
		e.Download = 61_728_390
		return true
	})
	return s
}

// open starts the API and the database.
func (s *stage) open(ctx context.Context) error {
	opts := pgtest.FromEnv(os.Getenv)
	opts.Keep = false
	var err error
	if s.postgres, err = pgtest.Start(ctx, opts); err != nil {
		return err
	}
	if err := s.postgres.CreateDatabase(ctx, "simusage", ""); err != nil {
		return err
	}
	s.database = s.postgres.URL("simusage")

	api := fakeapi.New(s.world, fakeapi.Options{Clock: s.clock.Now, AuthToken: password})
	api.Flaky(flaky, seed)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open a port for the simulated API: %w", err)
	}
	s.apiURL = "http://" + listener.Addr().String()
	s.server = &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(listener) // until close
	s.program.env = s.environment()
	return nil
}

// environment is all that the program needs to know, and all that it is told.
func (s *stage) environment() []string {
	return []string{
		"DATABASE_URL=" + s.database,
		"SIMUSAGE_BASE_URL=" + s.apiURL,
		"TWILIO_ACCOUNT_SID=" + s.world.AccountSID(),
		"TWILIO_AUTH_TOKEN=" + password,
		"SIMUSAGE_SINCE=" + s.start.Format(time.DateOnly),
	}
}

// setClock makes it now at the API, or as much later as the story has got.
func (s *stage) setClock() { s.clock.Set(time.Now().Add(s.offset)) }

// close ends and removes what open and build made, as far as they came.
func (s *stage) close() {
	if s.server != nil {
		s.server.Close()
	}
	if s.postgres != nil {
		s.postgres.Stop()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}
