package main

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// closedPort is an address of this machine where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// says wants a text on stderr, in a line of its own.
func (r result) says(t *testing.T, want string) {
	t.Helper()
	for _, line := range r.complaints() {
		if strings.HasPrefix(line, "simusage: ") && strings.Contains(line, want) {
			return
		}
	}
	t.Errorf("%q does not say %q", r.complaints(), want)
}

func TestExit1WhenNobodyAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	port := closedPort(t)
	b.with(env{"SIMUSAGE_BASE_URL": "http://" + port}).must(1, "sync").says(t, "unreachable")
	// A name that no name server needs to be asked for.
	b.with(env{"DATABASE_URL": "postgres://u:geheim@nowhere..invalid/usage"}).must(1, "status").says(t, `connect to Postgres at nowhere..invalid:5432/usage: look up the host "nowhere..invalid": `)
	for _, command := range []string{"sync", "status", "migrate", "plan"} {
		r := b.with(env{"DATABASE_URL": "postgres://simusage:geheim@" + port + "/usage"}).must(1, command)
		r.says(t, "connect to Postgres at "+port+"/usage")
		if strings.Contains(r.stderr, "geheim") {
			t.Errorf("%s shows the password: %s", command, r.stderr)
		}
	}
}

func TestExit2WhenCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	b.with(env{"TWILIO_AUTH_TOKEN": "geheim"}).must(2, "sync").says(t, "credentials")
	for _, c := range []struct {
		id    string
		fault fakeapi.Action
	}{
		{id: "fake-client", fault: fakeapi.Status(403)},
		{id: "fake-client", fault: fakeapi.Status(401)},
		{id: "unknown"},
	} {
		kore := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{Profile: fakeapi.Kore})
		if c.fault != nil {
			kore.api.Inject(fakeapi.Fault{Times: -1, Do: c.fault})
		}
		kore.with(env{"SIMUSAGE_PROVIDER": "kore", "KORE_CLIENT_ID": c.id, "KORE_CLIENT_SECRET": "fake-secret",
			"SIMUSAGE_TOKEN_URL": kore.env["SIMUSAGE_BASE_URL"] + fakeapi.TokenPath}).must(2, "sync").says(t, "credentials")
	}
}

func TestExit2WhenTheDatabaseIsNotReady(t *testing.T) {
	t.Parallel()
	all := []string{"sync", "plan", "status", "schedule", "migrate --check", "backfill --from=2026-03-07 --to=2026-03-08"}
	each := func(b *bench, want string, commands ...string) {
		t.Helper()
		for _, command := range commands {
			b.must(2, strings.Fields(command)...).says(t, want)
		}
		if n := len(b.api.Requests()); n > 0 {
			t.Errorf("%s: %d requests were sent", want, n)
		}
	}
	b := newBench(t, pgtest.Template{}, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	each(b, "never migrated; run: simusage migrate", all...)
	if found := b.query(`SELECT nspname::text FROM pg_namespace WHERE nspname IN ('simusage', 'usage')`); len(found) > 0 {
		t.Errorf("made schemas %v", found)
	}
	stranger := strings.Replace(b.database, "postgres://", "postgres://stranger:geheim@", 1)
	if at := strings.LastIndex(b.database, "@"); at > 0 {
		stranger = "postgres://stranger:geheim" + b.database[at:]
	}
	each(b.with(env{"DATABASE_URL": stranger}), "check user and password of the address", append(all, "migrate")...)

	b.exec(`DO $$ BEGIN CREATE ROLE may_nothing LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	each(b.with(env{"DATABASE_URL": "postgres://may_nothing" + b.database[strings.LastIndex(b.database, "@"):]}), "GRANT CREATE ON DATABASE", "migrate")

	b = newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	each(b.with(env{"DATABASE_URL": strings.Replace(b.database, "?", "_gone?", 1)}), "_gone\" does not exist; make it first, or correct the address", append(all, "migrate")...)
	b.exec(`DO $$ BEGIN CREATE ROLE no_rights LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	each(b.with(env{"DATABASE_URL": "postgres://no_rights" + b.database[strings.LastIndex(b.database, "@"):]}), "may not read simusage.schema_migrations", all...)
	b.exec(`UPDATE simusage.schema_migrations SET dirty = true`)
	each(b, "did not note its end", append(all, "migrate")...)
	b.exec(`UPDATE simusage.schema_migrations SET dirty = false, version = 4711`)
	each(b, "newer than this program", append(all, "migrate")...)
}

// A stream that the API does not take, and a list that keeps failing, cost the others nothing.
func TestExit3WhenSomethingIsLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{RefusePairs: []string{"sim+IsoCountry"}})
	r := b.must(3, "sync")
	r.says(t, "83600")
	if !strings.HasPrefix(r.stdout, "partly: 8 slices, ") || !strings.Contains(r.stdout, "; 4 slices still due\n") {
		t.Errorf("sync says %q", r.stdout)
	}
	if status := b.must(0, "status").stdout; !strings.Contains(status, "83600") {
		t.Errorf("status says\n%s", status)
	}

	b = newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	b.api.Inject(fakeapi.Fault{Times: -1, Do: fakeapi.HTML(400), Match: func(r *http.Request) bool {
		return r.URL.Query().Get("Group") == "" && strings.HasPrefix(r.URL.Query().Get("StartTime"), "2026-03-09")
	}})
	b.must(3, "sync").says(t, "hour/total 2026-03-09")
	b.api.ClearFaults()
	b.must(0, "sync")
	b.equal(b.world)
}

func TestExit75AtTheDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{Latency: 50 * time.Millisecond})
	b.must(75, "sync", "--max-duration=400ms", "--concurrency=1").says(t, "--max-duration is over")
	b.idle("stopped")
	b.must(75, "backfill", "--from=2026-03-07", "--to=2026-03-10", "--max-duration=1ns").says(t, "--max-duration is over")
	b.must(0, "sync", "--concurrency=8", "--max-duration=1h")
	b.equal(b.world)
}

// idle wants no slice held, and the last run's outcome.
func (b *bench) idle(outcome string) {
	b.t.Helper()
	if held := b.query(`SELECT id FROM simusage.slice WHERE leased_by IS NOT NULL`); len(held) > 0 {
		b.t.Errorf("slices %v are still held", held)
	}
	if got := b.query(`SELECT outcome FROM usage.runs ORDER BY run DESC LIMIT 1`); len(got) != 1 || got[0] != outcome {
		b.t.Errorf("the last run's outcome is %v, want %s", got, outcome)
	}
}

// The real program ends in order on SIGTERM.
func TestExit75OnSIGTERM(t *testing.T) {
	t.Parallel()
	b := nowBench(t, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{Latency: 20 * time.Millisecond})
	under := make(chan struct{})
	b.api.Inject(fakeapi.Fault{After: 10, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(under)
		next.ServeHTTP(w, r)
	}})
	p := b.start("sync", "--concurrency=2")
	select {
	case <-under:
	case <-p.ended:
	}
	p.terminate(t)
	p.end(t, 75).says(t, "terminated")
	b.idle("stopped")
	b.start("sync").end(t, 0)
	b.settled()
}
