package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// days of usage: more than a month, so that there is something to compare a month with, and 28 days before a day.
const days = 40

// names are what SIMs are called here: whatever quoting, encoding or trimming a client gets wrong, one of them shows it.
var names = [...]string{
	`O'Brien "the meter" \ 50 %`,
	`<script>alert('x')</script> & Co.`,
	"Zähler Köln 🚜 東京",
	"e\u0301 is not \u00e9", // the same to the eye, other bytes
	" blanks around ",
	"tab\tand\nline",
	"=1+1; a, b",
	strings.Repeat("長い名前", 75),
}

// stage is a warehouse to read: loaded by the real program from a simulated API.
type stage struct {
	now      time.Time // at the API
	since    time.Time // of the usage
	world    *fakeapi.World
	api      *fakeapi.Server
	http     *http.Server
	postgres *pgtest.Server
	dir      string // holds the program and what the clients write
	env      []string
}

// newStage invents the world; nothing of it is running yet.
func newStage(now time.Time) (*stage, error) {
	now = now.UTC()
	end := now.Truncate(time.Hour)
	s := &stage{now: now, since: end.AddDate(0, 0, -days).Truncate(24 * time.Hour)}
	s.world = fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 5, Start: s.since, End: end, Sims: 20, Density: 0.15, SecondUnit: "EUR"})
	s.dress()
	s.api = fakeapi.New(s.world, fakeapi.Options{Clock: func() time.Time { return now }})
	var err error
	s.dir, err = os.MkdirTemp("", "simusage-bicheck-")
	return s, err
}

// open starts the API and the database.
func (s *stage) open(ctx context.Context) error {
	opts := pgtest.FromEnv(os.Getenv)
	opts.Keep = false
	var err error
	if s.postgres, err = pgtest.Start(ctx, opts); err != nil {
		return err
	}
	if err := s.postgres.CreateDatabase(ctx, database, ""); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open a port for the simulated API: %w", err)
	}
	s.http = &http.Server{Handler: s.api, ReadHeaderTimeout: 10 * time.Second}
	go s.http.Serve(listener) // until close
	s.env = []string{
		"DATABASE_URL=" + s.postgres.URL(database),
		"SIMUSAGE_BASE_URL=http://" + listener.Addr().String(),
		"TWILIO_ACCOUNT_SID=" + s.world.AccountSID(),
		"TWILIO_AUTH_TOKEN=fake-auth-token",
		"SIMUSAGE_SINCE=" + s.since.Format(time.DateOnly),
		"SIMUSAGE_STREAMS=hour/total,hour/country,hour/sim@country,hour/fleet,hour/network",
		"SIMUSAGE_ICCID=true",
	}
	return nil
}

// dress gives the SIMs their names, and each view that looks for something unusual something to find: a SIM without usage,
// a day with much of it, one that is not billed though it should be.
func (s *stage) dress() {
	next := 0
	s.world.EditSims(func(sim *fakeapi.Sim) bool {
		if sim.UniqueName != "" && next < len(names) {
			sim.UniqueName = names[next]
			next++
		}
		return true
	})
	sims, yesterday := s.world.Sims(), s.now.Truncate(24*time.Hour).AddDate(0, 0, -1)
	s.world.Remove(time.Time{}, func(e fakeapi.Event) bool {
		return e.Sim == sims[1].SID && !e.Start.Before(yesterday.AddDate(0, 0, -9))
	})
	network := s.world.Networks()[0]
	s.world.Add(
		fakeapi.Event{Start: yesterday, Sim: sims[2].SID, Fleet: sims[2].FleetAt(yesterday), Network: network.SID, Country: network.Country, Download: 5_000_000_000},
		fakeapi.Event{Start: yesterday.AddDate(0, 0, -4), Sim: sims[4].SID, Fleet: sims[4].FleetAt(yesterday), Network: network.SID, Country: network.Country, Upload: 77},
	)
}

// load fills the warehouse: once as the API was, once more after settled usage has changed there, a SIM was deleted and a
// record made no sense. No view is empty then.
func (s *stage) load(ctx context.Context) error {
	program := filepath.Join(s.dir, "simusage")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/simusage").CombinedOutput(); err != nil {
		return fmt.Errorf("build the program (run this from the root of the repository): %w\n%s", err, out)
	}
	run := func(args ...string) error {
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &said, &said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("simusage %s: %w\n%s", strings.Join(args, " "), err, said.String())
		}
		return nil
	}
	if err := run("migrate"); err != nil {
		return err
	}
	if err := run("sync"); err != nil {
		return err
	}
	settled := s.now.Truncate(24*time.Hour).AddDate(0, 0, -10)
	s.world.Amend(time.Time{}, func(e *fakeapi.Event) bool {
		changed := e.Start.Truncate(24 * time.Hour).Equal(settled)
		if changed {
			e.Upload++
		}
		return changed
	})
	last := s.world.Sims()[len(s.world.Sims())-1].SID
	s.world.EditSims(func(sim *fakeapi.Sim) bool { return sim.SID != last })
	if err := s.api.Script(`after 1: bad-row {"period":null,"data_total":1,"unheard_of":"it's <b>\"new\"</b> 🚜"}`); err != nil {
		return err
	}
	if err := run("backfill", "--again", "--from", settled.Format(time.DateOnly), "--to", settled.AddDate(0, 0, 1).Format(time.DateOnly)); err != nil {
		return err
	}
	return run("names")
}

// close ends and removes all of it.
func (s *stage) close() {
	if s.http != nil {
		s.http.Close()
	}
	if s.postgres != nil {
		s.postgres.Stop()
	}
	os.RemoveAll(s.dir)
}
