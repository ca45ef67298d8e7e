package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// link is a bad network: it stands between the program and a server, and passes bytes on as long as it likes.
type link struct {
	t       *testing.T
	address string // where it listens, the same after each outage
	server  string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	pass     func(bytes int) verdict
}

// verdict is what happens to a piece of data.
type verdict int

const (
	onward verdict = iota
	reset          // the connection is reset, the data is lost
	silent         // the data is lost, and so is all that comes after it; the connection stays
)

func newLink(t *testing.T, server string) *link {
	t.Helper()
	l := &link{t: t, address: "127.0.0.1:0", server: server}
	l.up()
	t.Cleanup(l.down)
	return l
}

// up begins to take connections.
func (l *link) up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.listener, err = net.Listen("tcp", l.address); err != nil {
		l.t.Error(err)
		return
	}
	if l.address == "127.0.0.1:0" {
		l.address = l.listener.Addr().String()
	}
	listener := l.listener
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", l.server)
			if err != nil {
				from.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, from, to)
			l.mu.Unlock()
			go l.copy(to, from)
			go l.copy(from, to)
		}
	}()
}

// down refuses connections and resets those that are there.
func (l *link) down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listener.Close()
	for _, c := range l.conns {
		abort(c)
	}
	l.conns = nil
}

// misbehave sets what happens to the data from now on; nil is nothing.
func (l *link) misbehave(pass func(bytes int) verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass = pass
}

// copy passes small pieces on, so that a message of Postgres breaks anywhere.
func (l *link) copy(to, from net.Conn) {
	defer abort(to)
	defer abort(from)
	piece := make([]byte, 512)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		l.mu.Lock()
		pass := l.pass
		l.mu.Unlock()
		if pass != nil {
			switch pass(n) {
			case reset:
				to.Write(piece[:n/2])
				return
			case silent:
				io.Copy(io.Discard, from)
				return
			}
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
	}
}

// abort closes a connection as one that was lost: with a reset.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// toPostgres leads the bench's processes to Postgres over a link.
func (b *bench) toPostgres() *link {
	b.t.Helper()
	u, err := url.Parse(b.database)
	if err != nil {
		b.t.Fatal(err)
	}
	l := newLink(b.t, u.Host)
	b.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.address)
	}
	return l
}

// toAPI leads them to the API over a link.
func (b *bench) toAPI() *link {
	b.t.Helper()
	u, err := url.Parse(b.apiURL)
	if err != nil {
		b.t.Fatal(err)
	}
	l := newLink(b.t, u.Host)
	b.apiURL = "http://" + l.address
	return l
}

// untilDone runs until a run says that it is done. A run that does not must say so, and must end.
func (b *bench) untilDone(most int) (runs int) {
	b.t.Helper()
	for runs = 1; ; runs++ {
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
		job, err := b.tryProcess(ctx)
		var s Summary
		if err == nil {
			s, err = job.Sync(ctx, load.RunStart{Command: "sync"})
			job.Store.Close()
		}
		if ctx.Err() != nil {
			b.t.Fatalf("run %d did not end", runs)
		}
		cancel()
		if err == nil && s.Outcome == Done {
			return runs
		}
		if err == nil || s.Outcome == Done || s.Outcome == "" && job != nil {
			b.t.Errorf("run %d: outcome %q, error %v", runs, s.Outcome, err)
		}
		if runs == most {
			b.t.Fatalf("not done after %d runs: %v", runs, err)
		}
	}
}

// lossy resets a connection after random amounts of data, some times.
func lossy(seed uint64, between, times int) func(int) verdict {
	random := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	left := random.IntN(between)
	return func(n int) verdict {
		mu.Lock()
		defer mu.Unlock()
		if left -= n; left > 0 || times == 0 {
			return onward
		}
		left = random.IntN(between)
		times--
		return reset
	}
}

func smallBench(t *testing.T, seed uint64) *bench {
	t.Helper()
	b := newBench(t, fakeapi.WorldConfig{Seed: seed, Sims: 6, Start: at("2026-03-07"), End: at("2026-03-11")}, fakeapi.Options{})
	b.since = at("2026-03-07")
	b.pageSize = 20
	return b
}

// The connection to Postgres is reset in the middle of a message, again and again.
func TestPostgresConnectionReset(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			b := smallBench(t, 50+seed)
			b.toPostgres().misbehave(lossy(seed, 60_000, 40))
			t.Logf("%d runs", b.untilDone(45))
			b.dial = nil
			b.equal("total", "country", "sim", "sim_country")
		})
	}
}

// The connection to the API is reset in the middle of a question or an answer. That is within one run's patience.
func TestAPIConnectionReset(t *testing.T) {
	b := smallBench(t, 55)
	b.toAPI().misbehave(lossy(1, 40_000, 50))
	t.Logf("%d runs", b.untilDone(5))
	b.equal("total", "country", "sim", "sim_country")
}

// Slow networks in small pieces, to both sides, with leases that would run out if nobody kept them.
func TestSlowNetwork(t *testing.T) {
	b := smallBench(t, 56)
	b.streams = parseStreams(t, "hour/total", "hour/sim")
	slow := func(int) verdict { time.Sleep(2 * time.Millisecond); return onward }
	b.toPostgres().misbehave(slow)
	b.toAPI().misbehave(slow)
	if runs := b.untilDone(1); runs != 1 {
		t.Errorf("%d runs", runs)
	}
	b.dial = nil
	b.equal("total", "sim")
}

// Postgres cannot be reached for a while in the middle of a run, and the run goes on when it can.
func TestPostgresUnreachableForAWhile(t *testing.T) {
	b := smallBench(t, 57)
	l := b.toPostgres()
	asked := 0
	var mu sync.Mutex
	b.around = roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked == 15 {
			l.down()
			time.AfterFunc(300*time.Millisecond, l.up)
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	if runs := b.untilDone(1); runs != 1 {
		t.Errorf("%d runs", runs)
	}
	b.dial = nil
	b.equal("total", "country", "sim", "sim_country")
}

// A connection to Postgres that falls silent looks like a slow statement. A run with a deadline ends at it all the same,
// says so, and the next one goes on.
func TestPostgresFallsSilent(t *testing.T) {
	b := smallBench(t, 58)
	l := b.toPostgres()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	pieces := 0
	var mu sync.Mutex
	l.misbehave(func(int) verdict {
		mu.Lock()
		defer mu.Unlock()
		if pieces++; pieces < 300 {
			return onward
		}
		stop() // the deadline
		return silent
	})
	began := time.Now()
	s, err := b.process().Sync(ctx, load.RunStart{Command: "sync"})
	if took := time.Since(began); s.Outcome != Stopped || err == nil || took > 30*time.Second {
		t.Errorf("outcome %s after %v, error %v", s.Outcome, took, err)
	}
	b.dial = nil
	b.expireLeases()
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
}

// The API is down: for a moment, which the retries bridge; for good, and the run ends with what it has, saying so; and
// when it is back the next run finishes.
func TestAPIDownForAWhile(t *testing.T) {
	for name, c := range map[string]struct {
		back int // at which request after the first refused one
		done bool
	}{"a moment": {5, true}, "longer": {1000, false}} {
		t.Run(name, func(t *testing.T) {
			b := smallBench(t, 59)
			l := b.toAPI()
			asked := 0
			var mu sync.Mutex
			b.around = roundTrip(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				asked++
				switch asked {
				case 20:
					l.down()
				case 20 + c.back:
					l.up()
				}
				mu.Unlock()
				return http.DefaultTransport.RoundTrip(r)
			})
			s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"})
			if (s.Outcome == Done) != c.done || (err == nil) != c.done {
				t.Errorf("outcome %s, error %v", s.Outcome, err)
			}
			if !c.done {
				if s.Outcome != Partly || s.LeftDue == 0 || !errors.Is(err, extract.ErrUnreachable) {
					t.Errorf("outcome %s, %d left due, error %v", s.Outcome, s.LeftDue, err)
				}
				// Every worker gives up after twelve attempts, first on several slices together and then on one, and nobody
				// begins another slice.
				if mu.Lock(); asked > 20+2*2*12+12 {
					t.Errorf("%d requests although the API was down from the 20th on", asked)
				}
				mu.Unlock()
				l.up()
				b.around = nil
				b.sync()
			}
			b.equal("total", "country", "sim", "sim_country")
		})
	}
}
