package pipeline

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// More processes than Postgres has room for: each makes do with the connections that it gets, waits for others where it gets
// none, and all of them get to the end. No slice fails for want of a connection.
func TestNoRoomForConnections(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 90, Sims: 6}, fakeapi.Options{Latency: 2 * time.Millisecond})
	b.serverWith(map[string]string{"max_connections": "9", "superuser_reserved_connections": "0", "max_wal_senders": "0", "autovacuum_max_workers": "1"})
	b.silence = time.Hour // what looks whether Postgres is there wants a connection too
	var all sync.WaitGroup
	for range 7 {
		job := b.process() // has one connection from now on
		job.Concurrency = 4
		all.Go(func() {
			if s, err := job.Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil || s.Failed > 0 {
				t.Errorf("%d slices failed: %v", s.Failed, err)
			}
			job.Store.Close()
		})
	}
	all.Wait()
	b.equal("total", "country", "sim", "sim_country")
}

// One connection is enough for a process; none is an error that says what to do.
func TestFewConnections(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 91, Sims: 6}, fakeapi.Options{})
	b.serverWith(map[string]string{"max_connections": "9", "superuser_reserved_connections": "0", "max_wal_senders": "0", "autovacuum_max_workers": "1"})
	address := b.database
	b.database, b.silence = address+"&pool_max_conns=1", time.Hour
	one, other := b.process(), b.process()
	var others []*pgx.Conn
	for conn, err := pgx.Connect(t.Context(), address); err == nil; conn, err = pgx.Connect(t.Context(), address) {
		others = append(others, conn)
	}
	b.patience = 500 * time.Millisecond
	if _, err := b.tryProcess(t.Context()); err == nil || errors.Is(err, load.ErrRefused) || !strings.Contains(err.Error(), "pool_max_conns") {
		t.Errorf("no room: %v, want advice", err)
	}
	for _, conn := range others {
		conn.Close(t.Context())
	}
	for _, job := range []*Job{one, other} {
		if s, err := job.Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil || s.Failed > 0 {
			t.Errorf("with one connection: %+v, %v", s, err)
		}
	}
	b.database = address
	b.equal("total", "country", "sim", "sim_country")
}

// A process that the API turns away takes no more slices than it has requests: others have places for them.
func TestNoMoreSlicesThanRequests(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 93, Sims: 2}, fakeapi.Options{})
	job := b.process()
	client := job.Accounts[0].Client
	r := &run{Job: job, clients: map[int16]*extract.Client{1: client}}
	ended, end := context.WithCancel(t.Context())
	end() // so that whoever would wait is told from whoever goes on
	for _, c := range []struct {
		refused int // requests in a row
		most    int // slices
	}{{0, 4}, {1, 2}, {1, 1}, {5, 1}} {
		b.api.Inject(fakeapi.Fault{Times: c.refused, Do: fakeapi.Throttle("")})
		if c.refused > 0 {
			for _, err := range client.Fleets(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		for n := range 6 {
			r.walking.Store(int32(n))
			if room := r.room(ended) == nil; room != (n < c.most) {
				t.Errorf("of %d requests, with %d slices: room for another %t", c.most, n, room)
			}
		}
	}
	waits := make(chan error, 1)
	go func() { waits <- r.room(t.Context()) }()
	r.walking.Store(0)
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

// Where others hold all that is due, one worker of a process waits for it, not all.
func TestOneWorkerWaits(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 92, Sims: 6}, fakeapi.Options{})
	b.streams = parseStreams(t, "hour/total")
	b.since = at("2026-03-10")
	asked, answer := make(chan struct{}), make(chan struct{})
	b.around = before(1, func() {
		close(asked)
		<-answer
	})
	holder := b.process()
	b.around = nil
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := holder.Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil {
			t.Error(err)
		}
	})
	<-asked
	told := &notebook{waits: make(chan struct{})}
	waits := b.process()
	waits.Concurrency, waits.Log = 4, slog.New(slog.NewTextHandler(told, nil))
	all.Go(func() {
		if s, err := waits.Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil || s.Slices > 0 {
			t.Errorf("%d slices, %v", s.Slices, err)
		}
	})
	<-told.waits
	close(answer)
	all.Wait()
	if n := strings.Count(told.text.String(), "waiting for slices"); n != 1 {
		t.Errorf("%d workers have waited:\n%s", n, told.text.String())
	}
	b.equal("total")
}

// notebook is a log that tells when somebody waits.
type notebook struct {
	mu    sync.Mutex
	text  bytes.Buffer
	once  sync.Once
	waits chan struct{}
}

func (l *notebook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(p, []byte("waiting for slices")) {
		l.once.Do(func() { close(l.waits) })
	}
	return l.text.Write(p)
}
