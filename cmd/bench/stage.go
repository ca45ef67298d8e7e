package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/load/pgtest"
)

// Where the server differs from Postgres' defaults, for all that is compared alike; fsync is on, as it is by default. A
// server that loads millions of rows an hour has at least that.
const (
	sharedBuffers = "1GB"
	maxWALSize    = "8GB"
)

// settings are these, and what it takes to look at the write-ahead log afterwards and to count statements.
func settings() map[string]string {
	return map[string]string{
		"shared_buffers":    sharedBuffers,
		"max_wal_size":      maxWALSize,
		"wal_keep_size":     "2GB",
		"max_connections":   "600", // of many processes at once
		"logging_collector": "on",
		"log_destination":   "jsonlog",
		"log_rotation_size": "0",
	}
}

// bench is the stage and what was measured on it.
type bench struct {
	options
	out io.Writer

	dir       string // holds the program
	program   string
	postgres  *pgtest.Server
	version   string // of Postgres
	databases int
	figures   []figure
}

// part is some measures that belong together.
type part struct {
	name    string
	measure func(*bench, context.Context) error
}

func parts() []part {
	return []part{
		{"first", (*bench).loads},
		{"reread", (*bench).loads},
		{"memory", (*bench).memory},
		{"allocs", (*bench).allocations},
		{"latency", (*bench).latencies},
		{"fill", (*bench).fills},
		{"books", (*bench).books},
		{"requests", (*bench).requests},
		{"pods", (*bench).pods},
		{"leases", (*bench).leases},
		{questions, (*bench).questions},
		{oneDay, (*bench).day},
	}
}

// special are the parts that are run only when they are named: questions of readers and days of a million SIMs want many rows,
// and many processes at once say little of one.
var special = []string{"pods", "leases", questions, oneDay}

func partNames() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// standard are the parts that are run when none are named.
func standard() []string {
	return slices.DeleteFunc(partNames(), func(name string) bool { return slices.Contains(special, name) })
}

func (b *bench) wants(part string) bool { return slices.Contains(b.only, part) }

// perform sets the stage, runs the parts and clears it away, whatever happened.
func (b *bench) perform(ctx context.Context) error {
	defer b.close()
	if err := b.open(ctx); err != nil {
		return err
	}
	b.say("%s", b.machine())
	loads := false
	for _, p := range parts() {
		isLoad := p.name == "first" || p.name == "reread" // one measure for both
		if !b.wants(p.name) || isLoad && loads {
			continue
		}
		loads = loads || isLoad
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// open builds the program and starts the server.
func (b *bench) open(ctx context.Context) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	opts := pgtest.FromEnv(os.Getenv)
	opts.Keep, opts.Fsync, opts.Settings = false, true, settings()
	var err error
	if b.postgres, err = pgtest.Start(ctx, opts); err != nil {
		return err
	}
	return b.migrate(ctx)
}

// build makes the program from the sources around us.
func (b *bench) build(ctx context.Context) (err error) {
	module, err := os.ReadFile("go.mod")
	if err != nil || !bytes.HasPrefix(module, []byte("module simusage\n")) {
		return errors.New("run this from the root of the repository, where go.mod is: make bench")
	}
	if b.dir, err = os.MkdirTemp("", "simusage-bench-"); err != nil {
		return err
	}
	b.program = filepath.Join(b.dir, "simusage")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.program, "./cmd/simusage")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}

// migrate makes the database that all others are copies of.
func (b *bench) migrate(ctx context.Context) error {
	if err := b.postgres.CreateDatabase(ctx, migrated, ""); err != nil {
		return err
	}
	url := b.postgres.URL(migrated)
	if _, err := b.simusage(ctx, []string{"DATABASE_URL=" + url}, "migrate"); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, `SELECT split_part(current_setting('server_version'), ' ', 1)`).Scan(&b.version)
}

// close ends and removes what perform made, as far as it came.
func (b *bench) close() {
	if b.postgres != nil {
		b.postgres.Stop()
	}
	if b.dir != "" {
		os.RemoveAll(b.dir)
	}
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }
