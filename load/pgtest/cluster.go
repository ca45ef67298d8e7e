package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// TB is what this package needs of a *testing.T, so that the demo does not
// carry package testing along.
type TB interface {
	Helper()
	Name() string
	Context() context.Context
	Cleanup(func())
	Failed() bool
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Template is a database to copy: the migrated one, or that with rows in it.
// It is prepared by the first test that wants it and copied for each, which
// takes a tenth of a second however long the preparing took.
type Template struct {
	// Name tells templates apart; one name stands for one Prepare.
	Name string
	// Prepare fills the empty database behind the URL. It must not leave a
	// connection open: Postgres copies no database that is in use.
	Prepare func(ctx context.Context, url string) error
}

// Cluster is one server for all tests of a binary, started by the first that
// needs it.
type Cluster struct {
	getenv func(string) string

	mu       sync.Mutex
	opts     Options
	server   *Server          // nil where the databases are on a Citus cluster
	host     host             // where the databases are
	err      error            // of starting: said to every test, not tried again
	prepared map[string]error // template → how preparing it went
	count    int              // databases so far, to number them
	failed   bool             // a test failed, and its database is there
}

// NewCluster returns a cluster that has not started yet. The environment is read when a test asks for the server, not
// before: `go test` sees only what is read while tests run, and would show the kept result of one Postgres for another.
func NewCluster(getenv func(string) string) *Cluster {
	return &Cluster{getenv: getenv, prepared: map[string]error{}}
}

// MustStart starts a server for one test alone, of the same Postgres: to kill
// it, restart it or give it settings of its own. It stops with the test.
func (c *Cluster) MustStart(tb TB, opts Options) *Server {
	tb.Helper()
	opts.Bin = FromEnv(c.getenv).Bin
	s, err := Start(tb.Context(), opts)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(s.Stop)
	return s
}

// Distributed says whether the databases are on a Citus cluster: SIMUSAGE_TEST_CITUS names one. They have the extension, and
// their workers are added; what is to be distributed a Prepare does.
func (c *Cluster) Distributed() bool { return c.getenv(citusEnv) != "" }

// Run runs the tests and then stops the server; it is what a TestMain is for.
func (c *Cluster) Run(m interface{ Run() int }) int {
	code := m.Run()
	c.mu.Lock()
	defer c.mu.Unlock()
	if citus, ok := c.host.(*citus); ok {
		citus.stop()
	}
	if c.server == nil {
		return code
	}
	if c.failed && c.opts.Keep && c.server.keep() == nil {
		fmt.Fprintf(os.Stderr, "postgres stays for %v, or until: kill -QUIT %d\n", keptFor, c.server.child.cmd.Process.Pid)
		return code
	}
	c.server.Stop()
	return code
}

// Database makes a database for one test, a copy of the template or empty for
// Template{}, and returns its URL. It is dropped after the test; if the test
// failed it stays, and the test's output says how to look at it.
func (c *Cluster) Database(tb TB, template Template) string {
	tb.Helper()
	h, name, err := c.fresh(tb, template)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			c.explain(tb, h.URL(name))
			return // the database with it: it goes when the server does
		}
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.dropDatabase(ctx, name); err != nil {
			tb.Logf("%v", err)
		}
	})
	return h.URL(name)
}

// fresh makes the copy. Only starting and preparing are one at a time; copies
// of one template are made side by side.
func (c *Cluster) fresh(tb TB, template Template) (h host, name string, err error) {
	ctx, cancel := context.WithTimeoutCause(tb.Context(), time.Minute, errors.New("postgres took over a minute"))
	defer cancel()
	h, count, err := c.ready(ctx, template)
	if err != nil {
		return nil, "", err
	}
	name = databaseName(count, tb.Name())
	source := ""
	if template.Prepare != nil {
		source = template.database()
	}
	return h, name, h.CreateDatabase(ctx, name, source)
}

// ready has the server running and the template prepared.
func (c *Cluster) ready(ctx context.Context, template Template) (h host, count int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.host == nil && c.err == nil {
		c.err = c.start(ctx)
	}
	if c.err != nil {
		return nil, 0, c.err
	}
	if template.Prepare != nil {
		err, done := c.prepared[template.Name]
		if !done {
			err = prepare(ctx, c.host, template)
			c.prepared[template.Name] = err
		}
		if err != nil {
			return nil, 0, fmt.Errorf("prepare database %s: %w", template.database(), err)
		}
	}
	c.count++
	return c.host, c.count, nil
}

// start has a place for databases: a server of our own, or the cluster that somebody has set up.
func (c *Cluster) start(ctx context.Context) (err error) {
	c.opts = FromEnv(c.getenv)
	if address := c.getenv(citusEnv); address != "" {
		cluster, err := openCitus(ctx, address)
		if err == nil {
			c.host = cluster
		}
		return err
	}
	if c.server, err = Start(ctx, c.opts); err == nil {
		c.host = c.server
	}
	return err
}

func (t Template) database() string { return "template_" + t.Name }

func prepare(ctx context.Context, h host, template Template) error {
	if err := h.CreateDatabase(ctx, template.database(), ""); err != nil {
		return err
	}
	return template.Prepare(ctx, h.URL(template.database()))
}

// explain says how to look at the database of a failed test. The server ends
// with the tests, unless it was asked to stay.
func (c *Cluster) explain(tb TB, url string) {
	tb.Helper()
	c.mu.Lock()
	keep := c.opts.Keep
	c.failed = true
	c.mu.Unlock()
	if keep {
		tb.Logf("the database of this test: psql '%s'", url)
		return
	}
	dir, err := os.Getwd() // where go test runs a package's tests: in its folder
	if err != nil {
		dir = "."
	}
	tb.Logf("to look at the database of this test, keep it: SIMUSAGE_KEEP=1 go test -C %s -run '%s'", dir, pattern(tb.Name()))
}

// pattern is the argument of -run that means this test alone.
func pattern(test string) string {
	parts := strings.Split(test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// databaseName is a test's name as one can type it in psql, numbered and short
// enough for Postgres, which cuts names silently.
func databaseName(count int, test string) string {
	name := fmt.Sprintf("t%d_%s", count, unfit.ReplaceAllString(strings.ToLower(test), "_"))
	return name[:min(len(name), 63)]
}
