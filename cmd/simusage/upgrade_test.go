package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract/fakeapi"
)

// midway starts a sync that is in the middle of its work when midway returns, and goes on meanwhile; one list waits until
// the returned function is called, so that the sync does not end before.
func (b *bench) midway() (p *process, goOn func()) {
	b.t.Helper()
	b.env["SIMUSAGE_PAGE_SIZE"] = "20"
	arrived, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.api.Inject(fakeapi.Fault{After: 15, Every: 1, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		once.Do(func() { close(arrived) })
		next.ServeHTTP(w, r)
	}})
	b.api.Inject(fakeapi.Fault{After: 40, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-held
		next.ServeHTTP(w, r)
	}})
	p = b.start("sync")
	<-arrived
	return p, sync.OnceFunc(func() { close(held) })
}

// again reads all again, by the program of that path.
func (b *bench) again(program string) {
	b.t.Helper()
	b.startThe(program, "backfill", "--from", b.since.Format(time.DateOnly), "--to", time.Now().UTC().AddDate(0, 0, -4).Format(time.DateOnly), "--again").end(b.t, 0)
	b.settled()
}

// A newer program migrates while this one syncs: tables change under it, views are dropped and made anew, the version goes
// up. Neither waits for the other for ever, and the run ends right. The next run of this one says that the database is
// newer and touches nothing; the newer program goes on.
func TestMigrationDuringASync(t *testing.T) {
	t.Parallel()
	// In an order in which a migration and a publish can wait for each other.
	next := newer(t, `DO $$ BEGIN
		ALTER TABLE simusage.usage_hourly ADD COLUMN newer integer;
		ALTER TABLE simusage.list ADD COLUMN newer text NOT NULL DEFAULT '';
		ALTER TABLE simusage.slice ADD COLUMN newer text NOT NULL DEFAULT '';
		CREATE INDEX newer ON simusage.series (sim_sid);
	END $$`)
	b := nowBench(t, fakeapi.WorldConfig{Seed: 72, Sims: 10}, fakeapi.Options{})
	p, goOn := b.midway()
	defer goOn()
	// The newer views have other columns.
	b.exec(`DROP VIEW usage.sim_daily; CREATE VIEW usage.sim_daily AS SELECT 1 AS older; UPDATE simusage.view_install SET digest = 'older'`)
	b.startThe(next, "migrate").end(t, 0)
	goOn()
	p.end(t, 0)
	b.settled()
	asked := len(b.api.Requests())
	for _, command := range []string{"sync", "migrate"} {
		if r := b.start(command).end(t, 2); !strings.Contains(r.stderr, "newer than this program") {
			t.Errorf("%s on a newer database: %s", command, r.stderr)
		}
	}
	if n := len(b.api.Requests()); n != asked {
		t.Errorf("the older program asked %d requests", n-asked)
	}
	b.startThe(next, "sync").end(t, 0)
	b.again(next)
}

// A migration that this program does not understand: the run that is under way ends, not well, and loses nothing.
func TestIncompatibleMigrationDuringASync(t *testing.T) {
	t.Parallel()
	next := newer(t, `ALTER TABLE simusage.list RENAME COLUMN digest TO fingerprint`)
	b := nowBench(t, fakeapi.WorldConfig{Seed: 73, Sims: 10}, fakeapi.Options{})
	p, goOn := b.midway()
	defer goOn()
	b.startThe(next, "migrate").end(t, 0)
	goOn()
	<-p.ended
	if code := p.cmd.ProcessState.ExitCode(); code != 1 && code != 3 || !strings.Contains(p.log.String(), `column "digest" of relation "list" does not exist`) {
		t.Errorf("exit code %d\n%s", code, p.log.String())
	}
	b.start("sync").end(t, 2)
	// As if the newer program knew its own column.
	b.exec(`ALTER TABLE simusage.list RENAME COLUMN fingerprint TO digest`)
	b.startThe(next, "sync").end(t, 0)
	b.settled()
}

// A migration that waits for somebody who waits for it is the one that Postgres gives up. It has changed nothing then, and
// is run again, instead of leaving a version that somebody has to mend by hand.
func TestMigrationInADeadlock(t *testing.T) {
	t.Parallel()
	next := newer(t, `ALTER TABLE simusage.usage_hourly ADD COLUMN newer integer; ALTER TABLE simusage.slice ADD COLUMN newer integer`)
	b := nowBench(t, fakeapi.WorldConfig{Seed: 74, Sims: 4}, fakeapi.Options{})
	conn, err := pgx.Connect(t.Context(), b.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`BEGIN; LOCK TABLE simusage.slice IN ROW EXCLUSIVE MODE`)
	p := b.startThe(next, "migrate")
	for len(b.query(`SELECT FROM pg_locks WHERE relation = 'simusage.slice'::regclass AND NOT granted`)) == 0 {
		select {
		case <-p.ended:
			t.Fatalf("the migration did not wait: %s", p.log.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	exec(`SELECT FROM simusage.usage_hourly LIMIT 1`)
	exec(`COMMIT`)
	p.end(t, 0)
	b.startThe(next, "sync").end(t, 0)
	b.settled()
}

// A migration that Postgres refuses half-way leaves nothing behind: this program goes on as if it had not been tried.
func TestRefusedMigration(t *testing.T) {
	t.Parallel()
	next := newer(t, `CREATE TABLE simusage.half (); SELECT 1 / 0`)
	b := nowBench(t, fakeapi.WorldConfig{Seed: 75, Sims: 4}, fakeapi.Options{})
	if r := b.startThe(next, "migrate").end(t, 1); !strings.Contains(r.stderr, "division by zero") || strings.Contains(r.stderr, "CREATE TABLE") {
		t.Errorf("the newer program says %s", r.stderr)
	}
	b.start("sync").end(t, 0)
	b.settled()
}

// A view of somebody else stands on one of ours that must be made anew: one line names it, the exit code says that the same
// again ends the same, and the sync of this program says what to do as well.
func TestMigrateUnderSomebodysView(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 76}, fakeapi.Options{})
	b.exec(`DROP VIEW usage.sim_daily; CREATE VIEW usage.sim_daily AS SELECT account_sid, data_total FROM simusage.usage_day;
		CREATE VIEW public.mine AS SELECT data_total FROM usage.sim_daily; UPDATE simusage.view_install SET digest = 'older'`)
	r := b.must(2, "migrate")
	if strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "public.mine on usage.sim_daily") {
		t.Errorf("migrate says %q", r.stderr)
	}
	b.must(2, "migrate", "--check")
	b.must(2, "sync")
	b.exec(`DROP VIEW public.mine`)
	b.must(0, "migrate")
	b.must(0, "sync")
}

// The way back: the newer program takes the database to the schema of this one, which then installs its views and goes on.
func TestWayBack(t *testing.T) {
	t.Parallel()
	next := newer(t, `ALTER TABLE simusage.run ADD COLUMN newer integer`, `ALTER TABLE simusage.run DROP COLUMN newer`)
	b := nowBench(t, fakeapi.WorldConfig{Seed: 77, Sims: 4}, fakeapi.Options{})
	before := b.query(`SELECT version FROM simusage.schema_migrations`)[0]
	b.exec(`CREATE VIEW public.mine AS SELECT data_total FROM usage.sim_daily`)
	b.startThe(next, "migrate").end(t, 0)
	b.startThe(next, "sync").end(t, 0)
	if r := b.startThe(next, "migrate", "--to="+before).end(t, 2); !strings.Contains(r.stderr, "public.mine on usage.sim_daily") {
		t.Errorf("with a view of somebody in the way, it says %s", r.stderr)
	}
	b.startThe(next, "migrate", "--check").end(t, 0)
	b.exec(`DROP VIEW public.mine`)
	b.startThe(next, "migrate", "--to="+before).end(t, 0)
	b.start("migrate").end(t, 0)
	b.start("sync").end(t, 0)
	b.settled()
}

// A way back that Postgres refuses has changed nothing but the views, and migrate brings those back.
func TestRefusedWayBack(t *testing.T) {
	t.Parallel()
	next := newer(t, `ALTER TABLE simusage.run ADD COLUMN newer integer`, `SELECT 1 / 0`)
	b := nowBench(t, fakeapi.WorldConfig{Seed: 78, Sims: 4}, fakeapi.Options{})
	before := b.query(`SELECT version FROM simusage.schema_migrations`)[0]
	b.startThe(next, "migrate").end(t, 0)
	if r := b.startThe(next, "migrate", "--to="+before).end(t, 1); !strings.Contains(r.stderr, "division by zero") {
		t.Errorf("it says %s", r.stderr)
	}
	b.startThe(next, "migrate").end(t, 0)
	b.startThe(next, "sync").end(t, 0)
	b.settled()
}
