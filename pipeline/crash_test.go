package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
)

// Promise 2, in process: the program may die after every single step. A step is a message to Postgres or a request to
// the API, and it can die before the step is taken, or after it and before the answer. Between two of these moments
// nothing happens that anybody else could see.
//
// The next process goes on. In the end the views are those that the world's own sums demand, and no more than one page
// was asked for again. The work is a slice that is walked alone and then two that are walked together.
func TestPromise2CrashAfterEveryStep(t *testing.T) {
	const lanes = 4 // each with a database of its own, which is emptied between two deaths
	for lane := range lanes {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			b := newBench(t, fakeapi.WorldConfig{Seed: 5, Sims: 3, Networks: 2, Countries: []string{"DE", "FR"}, Density: 0.12,
				Start: at("2026-03-07"), End: at("2026-03-11")}, fakeapi.Options{})
			b.pageSize = 5
			b.streams = parseStreams(t, "hour/sim@country")
			b.since = at("2026-03-07")
			b.clock.Set(at("2026-03-10 00:30"))
			moments, pages := b.crash(0)
			t.Logf("%d moments to die at, %d pages", moments, pages)
			if spans := b.spans(); len(spans) != 1 {
				t.Errorf("walked together: %v", spans)
			}
			for moment := 1 + lane; moment <= moments; moment += lanes {
				t.Run(fmt.Sprint("moment ", moment), func(t *testing.T) {
					b.t = t
					b.exec(`DO $$ DECLARE stage text; BEGIN
						-- What the dead process began may still be going on, and hold locks.
						PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
						TRUNCATE simusage.account, simusage.run, simusage.restatement, simusage.usage_hourly, simusage.usage_daily, simusage.network CASCADE;
						FOR stage IN SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '^(stage|names)_' LOOP
							EXECUTE format('DROP TABLE simusage.%I', stage);
						END LOOP;
					END $$`)
					b.api.Reset()
					if _, asked := b.crash(moment); asked > pages+1 {
						t.Errorf("%d pages were asked for, want %d and at most the one that was under way", asked, pages)
					}
				})
			}
		})
	}
}

// spans are the questions that covered more than a day.
func (b *bench) spans() []string {
	var spans []string
	for _, r := range b.api.Requests() {
		if asked := "http://api?" + r.Query; longer(1)(httptest.NewRequest(http.MethodGet, asked, nil)) && strings.Contains(r.Query, "Granularity=all") {
			spans = append(spans, r.Query)
		}
	}
	return spans
}

// crash lets the first process die at a moment (never at 0), the second one finish, and counts the moments of the first and
// the pages of usage of both.
func (b *bench) crash(moment int) (moments, usage int) {
	b.t.Helper()
	m := &mortal{moment: moment}
	b.dial, b.around = m.dial, m
	life := m.life(b.t.Context())
	job, err := b.tryProcess(life)
	if err == nil {
		job.Concurrency = 1
		_, err = job.Sync(life, load.RunStart{Command: "sync"})
		job.Store.Close()
	}
	if moment == 0 && err != nil {
		b.t.Fatal(err)
	}
	b.dial, b.around = nil, nil
	b.expireLeases()
	if s := b.syncAlone(); s.Failed > 0 {
		b.t.Errorf("the second process: %+v", s)
	}
	b.equal("sim", "sim_country", "country")
	pages := make(map[string]int)
	again := 0
	for _, r := range b.api.Requests() {
		if page := fmt.Sprint(r.Path, r.Query, r.Page); r.Status == http.StatusOK {
			if pages[page]++; pages[page] > 1 {
				again++
			}
			if r.Path == "/v1/UsageRecords" {
				usage++
			}
		}
	}
	// The newest slice is not settled, but its refresh interval is not over: the second process has no reason to ask.
	if again > 1 {
		b.t.Errorf("%d pages were asked for again, want at most the one that was under way", again)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken, usage
}

// mortal is the network as seen by a process that dies at a moment.
type mortal struct {
	moment int

	mu    sync.Mutex
	taken int
	dead  bool
	conns []net.Conn
	end   context.CancelFunc
}

var errDead = errors.New("dead")

// life is the context of the process: over when it dies, as a process does nothing any more.
func (m *mortal) life(ctx context.Context) context.Context {
	ctx, m.end = context.WithCancel(ctx)
	return ctx
}

// pass is a moment at which the process may die.
func (m *mortal) pass() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken++; m.taken == m.moment {
		m.dead = true
		for _, c := range m.conns {
			c.Close()
		}
		if m.end != nil {
			m.end()
		}
	}
	if m.dead {
		return errDead
	}
	return nil
}

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := m.pass(); err != nil {
		return nil, err
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if dead := m.pass(); dead != nil {
		if err == nil {
			resp.Body.Close()
		}
		return nil, dead
	}
	return resp, err
}

func (m *mortal) dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, errDead
	}
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
	if err == nil {
		m.conns = append(m.conns, c)
		c = mortalConn{c, m}
	}
	return c, err
}

type mortalConn struct {
	net.Conn
	m *mortal
}

func (c mortalConn) Write(p []byte) (int, error) {
	if err := c.m.pass(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if dead := c.m.pass(); dead != nil {
		return 0, dead
	}
	return n, err
}
