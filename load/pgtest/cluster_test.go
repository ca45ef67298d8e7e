package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var shared = NewCluster(os.Getenv)

func TestMain(m *testing.M) {
	if os.Getenv(holdEnv) != "" {
		hold()
	}
	os.Exit(shared.Run(m))
}

func TestDatabasesAreCopiesOfTheirOwn(t *testing.T) {
	t.Parallel()
	var prepared atomic.Int32
	// A name of its own for each -count: the cluster outlives the test.
	template := Template{Name: fmt.Sprint("own", time.Now().UnixNano()), Prepare: func(ctx context.Context, url string) error {
		prepared.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
		return err
	}}
	t.Run("copies", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				begin := time.Now()
				url := shared.Database(t, template)
				t.Logf("%s in %v", url, time.Since(begin))
				execute(t, url, "INSERT INTO t VALUES (2)")
				if got := query[int](t, url, "SELECT count(*) FROM t"); got != 2 {
					t.Errorf("%d rows, want the template's 1 and our own", got)
				}
			})
		}
	})
	if got := prepared.Load(); got != 1 {
		t.Errorf("prepared %d times, want once", got)
	}
	left := query[int](t, shared.server.URL("postgres"),
		"SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_testdatabasesarecopies%'")
	if left != 0 {
		t.Errorf("%d databases of passed tests are left", left)
	}
}

func TestEmptyDatabase(t *testing.T) {
	t.Parallel()
	url := shared.Database(t, Template{})
	if got := query[int](t, url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); got != 0 {
		t.Errorf("%d tables", got)
	}
}

// probe is a test that fails when told to, to see what its output says.
type probe struct {
	*testing.T
	failed   bool
	log      strings.Builder
	cleanups []func()
}

func (p *probe) Failed() bool            { return p.failed }
func (p *probe) Cleanup(f func())        { p.cleanups = append(p.cleanups, f) }
func (p *probe) Logf(s string, a ...any) { fmt.Fprintf(&p.log, s, a...) }

func (p *probe) end() {
	for _, f := range p.cleanups {
		f()
	}
}

func TestFailureSaysHowToLook(t *testing.T) {
	t.Parallel()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	shared.Database(t, Template{})
	c := &Cluster{server: shared.server, host: shared.host} // whatever SIMUSAGE_KEEP says now
	c.count = int(time.Now().UnixNano())                    // names beside the shared cluster's
	p := &probe{T: t}
	url := c.Database(p, Template{})
	p.failed = true
	p.end()
	want := "SIMUSAGE_KEEP=1 go test -C " + dir + " -run '^TestFailureSaysHowToLook$'"
	if got := p.log.String(); !strings.Contains(got, want) {
		t.Errorf("output %q lacks %q", got, want)
	}
	if got := query[int](t, url, "SELECT 1"); got != 1 {
		t.Error("the database is gone")
	}
}

func TestPrepareFailsEveryTest(t *testing.T) {
	t.Parallel()
	template := Template{Name: "broken", Prepare: func(context.Context, string) error {
		return errors.New("migration 3: no such column")
	}}
	for range 2 {
		p := &probe{T: t}
		if _, _, err := shared.fresh(p, template); err == nil ||
			err.Error() != "prepare database template_broken: migration 3: no such column" {
			t.Errorf("got %v", err)
		}
	}
}

func TestNamesFit(t *testing.T) {
	t.Parallel()
	if got, want := databaseName(7, "TestPublish/late money, twice"), "t7_testpublish_late_money_twice"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := len(databaseName(7, strings.Repeat("long", 50))); got != 63 {
		t.Errorf("%d bytes, want 63", got)
	}
	if got, want := pattern("TestA/b.c"), `^TestA$/^b\.c$`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
