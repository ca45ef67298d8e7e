//go:build runbook

package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
	"simusage/load/pgtest"
)

// pooler starts a PgBouncer as deploy/RUNBOOK.md has it before the bench's database, with so many servers in its pool.
func (b *bench) pooler(ini string, servers int) (through string) {
	b.t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; exec.Command(program, "--version").Run() != nil {
			b.t.Fatal("no pgbouncer here: run make runbook-check, or install it (Debian, Ubuntu: apt-get install pgbouncer; macOS: brew install pgbouncer)")
		}
	}
	to, err := url.Parse(b.database)
	if err != nil {
		b.t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	at := free.Addr().(*net.TCPAddr)
	free.Close()
	dir, err := os.MkdirTemp("", "simusage-pooler-")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { os.RemoveAll(dir) })
	here := strings.NewReplacer("host=db.example.com port=5432 dbname=simusage", fmt.Sprintf("host=%s port=%s dbname=%s", to.Hostname(), to.Port(), strings.TrimPrefix(to.Path, "/")),
		"listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1", "6432", strconv.Itoa(at.Port), "scram-sha-256", "trust", "/etc/pgbouncer/userlist.txt", filepath.Join(dir, "users"),
		"default_pool_size = 20", fmt.Sprintf("default_pool_size = %d\nunix_socket_dir =\nlogfile = %s", servers, filepath.Join(dir, "log")))
	name := to.User.Username()
	for path, text := range map[string]string{"users": fmt.Sprintf("%q \"\"\n", name), "ini": here.Replace(ini)} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	cmd := exec.Command(program, filepath.Join(dir, "ini"))
	if os.Getuid() == 0 { // as root it refuses to run
		nobody, err := user.Lookup("nobody")
		if err != nil {
			b.t.Fatal(err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			b.t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if b.t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			b.t.Logf("%s", log)
		}
	})
	to.Host, to.Path = at.String(), "/simusage"
	store, err := load.Open(b.t.Context(), to.String(), load.Options{Patience: 10 * time.Second}) // waits until it answers
	if err != nil {
		b.t.Fatalf("no answer from PgBouncer: %v", err)
	}
	store.Close()
	return to.String()
}

// Through PgBouncer in transaction mode everything is as it is without: two at once share the work, one that is killed is
// overtaken, and the sums are the world's. A pool of a single server makes it slow, not wrong, and nobody waits for himself.
func TestRunbookPooled(t *testing.T) {
	t.Parallel()
	blocks := runbook(t, "PgBouncer")
	for _, servers := range []int{20, 1} {
		t.Run(fmt.Sprint(servers, " servers"), func(t *testing.T) {
			t.Parallel()
			end := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -4)
			b := newBench(t, pgtest.Template{}, fakeapi.WorldConfig{Seed: 35, Sims: 12, Start: end.AddDate(0, 0, -6), End: end, Late: -1},
				fakeapi.Options{Clock: time.Now, Latency: 5 * time.Millisecond})
			b.now = time.Now()
			b.env["SIMUSAGE_REFRESH"], b.env["SIMUSAGE_LEASE"], b.env["SIMUSAGE_PAGE_SIZE"] = "30d", "1s", "10"
			b.env["MIGRATE_DATABASE_URL"] = b.database
			b.env["DATABASE_URL"] = b.pooler(blocks[0], servers)
			if r := b.must(0, "migrate"); strings.Contains(r.stderr, "pooler") {
				t.Errorf("straight to Postgres, migrate says %s", r.stderr)
			}
			if r := b.with(env{"MIGRATE_DATABASE_URL": ""}).must(0, "migrate"); !strings.Contains(r.stderr, "MIGRATE_DATABASE_URL") {
				t.Errorf("through the pool, migrate says %s", r.stderr)
			}
			if locks := b.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`); len(locks) > 0 {
				t.Errorf("%d locks are left with the pool", len(locks))
			}
			from, to := b.since.Format(time.DateOnly), end.Format(time.DateOnly)
			arrived := make(chan struct{})
			b.api.Inject(fakeapi.Fault{After: 40, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				close(arrived)
				next.ServeHTTP(w, r)
			}})
			killed := b.start("sync")
			<-arrived
			killed.signal(t, syscall.SIGKILL)
			<-killed.ended
			for _, p := range []*process{b.start("sync"), b.start("backfill", "--from", from, "--to", to), b.start("sync")} {
				p.end(t, 0)
			}
			b.settled()
			b.follow(blocks[1])
			b.must(0, "backfill", "--from", from, "--to", to, "--again")
			b.must(0, "verify", "--from", from, "--to", to)
			b.must(0, "names")
			b.must(0, "plan")
			b.must(0, "rejected")
			b.must(0, "report", "--out="+filepath.Join(t.TempDir(), "usage.html"), "--from="+from, "--to="+to)
			b.settled()
			b.must(0, "forget", "--account=", "--yes")
		})
	}
}
