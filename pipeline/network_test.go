package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// link is a bad network: toxiproxy between the program and a server.
//
// Toxics are there before the first connection, or only added: toxiproxy may lock up when a toxic is taken away from
// connections that are just ending. So a test whose network gets better takes a new link.
type link struct {
	*toxiproxy.Proxy
	t       *testing.T
	address string
}

func newLink(t *testing.T, server string) link {
	t.Helper()
	quiet := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := link{Proxy: toxiproxy.NewProxy(quiet, t.Name(), "127.0.0.1:0", server), t: t}
	l.up()
	t.Cleanup(l.Stop)
	l.address = l.Listen
	return l
}

// up takes connections, at the same address after each outage; Stop refuses them and cuts those that are there.
func (l link) up() {
	if err := l.Start(); err != nil {
		l.t.Error(err)
	}
}

// toxic poisons a share of the connections, in both directions.
func (l link) toxic(kind string, share float64, attributes string) {
	l.t.Helper()
	for _, direction := range []string{"upstream", "downstream"} {
		text := fmt.Sprintf(`{"type": %q, "stream": %q, "toxicity": %g, "attributes": {%s}}`, kind, direction, share, attributes)
		if _, err := l.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			l.t.Error(err)
		}
	}
}

// lossy cuts each connection after some bytes, in the middle of whatever that is, and some already while they are made.
// reset_peer is also what makes toxiproxy cut with a reset.
func (l link) lossy(bytes int) {
	l.t.Helper()
	l.toxic("reset_peer", 0.1, `"timeout": 0`)
	l.toxic("limit_data", 1, fmt.Sprintf(`"bytes": %d`, bytes))
}

// slow lets data trickle in small pieces.
func (l link) slow() {
	l.t.Helper()
	l.toxic("slicer", 1, `"average_size": 512, "size_variation": 256, "delay": 500`)
	l.toxic("latency", 1, `"latency": 3, "jitter": 2`)
	l.toxic("bandwidth", 1, `"rate": 250`)
}

// silent swallows all data from now on; the connections stay.
func (l link) silent() {
	l.t.Helper()
	l.toxic("timeout", 1, `"timeout": 0`)
}

// toPostgres leads the bench's processes to Postgres over a link.
func (b *bench) toPostgres() link {
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
func (b *bench) toAPI() link {
	b.t.Helper()
	u, err := url.Parse(b.apiURL)
	if err != nil {
		b.t.Fatal(err)
	}
	l := newLink(b.t, u.Host)
	b.apiURL = "http://" + l.address
	return l
}

// attempt is one run, and says whether it got done. A run that does not must say so, and must end.
func (b *bench) attempt() bool {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	job, err := b.tryProcess(ctx)
	var s Summary
	if err == nil {
		s, err = job.Sync(ctx, load.RunStart{Command: "sync"})
		job.Store.Close()
	}
	if ctx.Err() != nil {
		b.t.Fatalf("run %d did not end: %v", b.processes, err)
	}
	if (err == nil) != (s.Outcome == Done) || s.Outcome == "" && job != nil {
		b.t.Errorf("run %d: outcome %q, error %v", b.processes, s.Outcome, err)
	}
	return err == nil
}

// untilDone makes attempts until one gets done.
func (b *bench) untilDone(most int) (runs int) {
	b.t.Helper()
	for runs = 1; !b.attempt(); runs++ {
		if runs == most {
			b.t.Fatalf("not done after %d runs", runs)
		}
	}
	return runs
}

func smallBench(t *testing.T, seed uint64) *bench {
	t.Helper()
	b := newBench(t, fakeapi.WorldConfig{Seed: seed, Sims: 6, Start: at("2026-03-07"), End: at("2026-03-11")}, fakeapi.Options{})
	b.since = at("2026-03-07")
	b.pageSize = 20
	return b
}

// Every connection to Postgres is reset in the middle of a message, early at first, then farther and farther into the work.
func TestPostgresConnectionReset(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			b := smallBench(t, 50+seed)
			random := rand.New(rand.NewPCG(seed, 0))
			runs, done := 0, false
			var conns atomic.Int32
			for ; runs < 15 && !done; runs++ {
				b.toPostgres().lossy(2_000 + random.IntN(2_000*(runs+1)))
				dial := b.dial
				b.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					conns.Add(1)
					return dial(ctx, network, address)
				}
				done = b.attempt()
			}
			b.dial = nil
			t.Logf("done: %t, after %d runs and %d connections", done, runs, conns.Load())
			b.expireLeases()
			b.untilDone(1)
			b.equal("total", "country", "sim", "sim_country")
		})
	}
}

// The connection to the API is reset in the middle of a question or an answer. That is within one run's patience.
func TestAPIConnectionReset(t *testing.T) {
	b := smallBench(t, 55)
	b.toAPI().lossy(15_000)
	t.Logf("%d runs", b.untilDone(5))
	b.equal("total", "country", "sim", "sim_country")
}

// Slow networks in small pieces, to both sides, with leases that would run out if nobody kept them.
func TestSlowNetwork(t *testing.T) {
	b := smallBench(t, 56)
	b.streams = parseStreams(t, "hour/total", "hour/sim")
	b.toPostgres().slow()
	b.toAPI().slow()
	if runs := b.untilDone(1); runs != 1 {
		t.Errorf("%d runs", runs)
	}
	b.dial = nil
	b.equal("total", "sim")
}

// Postgres cannot be reached for a while in the middle of a run, and the run goes on when it can.
func TestPostgresUnreachableForAWhile(t *testing.T) {
	for _, outage := range []time.Duration{300 * time.Millisecond, 8 * time.Second} {
		t.Run(outage.String(), func(t *testing.T) {
			b := smallBench(t, 57)
			l := b.toPostgres()
			b.around = before(15, func() {
				l.Stop()
				time.AfterFunc(outage, l.up)
			})
			b.untilDone(1)
			b.dial = nil
			b.equal("total", "country", "sim", "sim_country")
		})
	}
}

// A connection to Postgres that falls silent looks like a slow statement. A run with a deadline ends at it all the same,
// says so, and the next one goes on.
func TestPostgresFallsSilent(t *testing.T) {
	b := smallBench(t, 58)
	l := b.toPostgres()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	b.around = before(30, func() {
		l.silent()
		stop() // the deadline
	})
	began := time.Now()
	s, err := b.process().Sync(ctx, load.RunStart{Command: "sync"})
	if took := time.Since(began); s.Outcome != Stopped || err == nil || took > 30*time.Second {
		t.Errorf("outcome %s after %v, error %v", s.Outcome, took, err)
	}
	b.dial, b.around = nil, nil
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
					l.Stop()
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
