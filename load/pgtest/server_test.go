package pgtest

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	s := shared.MustStart(t, Options{Settings: map[string]string{
		"application_name": "it's ours",
		"max_connections":  "17",
	}})
	for setting, want := range map[string]string{
		"application_name":        "it's ours",
		"data_directory":          s.data(),
		"fsync":                   "off",
		"listen_addresses":        "127.0.0.1",
		"max_connections":         "17",
		"server_encoding":         "UTF8",
		"TimeZone":                "UTC",
		"unix_socket_directories": "",
	} {
		got := query[string](t, s.URL("postgres"), "SELECT current_setting('"+setting+"')")
		if got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	backends := children(s.child.cmd.Process.Pid)
	if len(backends) == 0 {
		t.Error("the postmaster has no children; Kill would miss them")
	}
	postmaster := s.child.cmd.Process.Pid

	s.Stop()
	s.Stop()
	if _, err := os.Stat(s.home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Stop the directory is still there: %v", err)
	}
	for _, pid := range append(backends, postmaster) {
		if line := commandLine(pid); line != "" {
			t.Errorf("after Stop process %d is still there: %s", pid, line)
		}
	}
	if err := s.Restart(t.Context()); err == nil {
		t.Error("Restart after Stop: no error")
	}
}

// A crash empties unlogged tables and a clean restart does not: that is how to
// tell one from the other.
func TestRestartIsCleanAndKillIsACrash(t *testing.T) {
	t.Parallel()
	s := shared.MustStart(t, Options{Fsync: true})
	url := s.URL("postgres")
	if got := query[string](t, url, "SELECT current_setting('fsync')"); got != "on" {
		t.Errorf("fsync is %s, want on", got)
	}
	execute(t, url, `
		CREATE TABLE logged AS SELECT generate_series(1, 1000) AS n;
		CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 1000) AS n`)
	for _, tt := range []struct {
		after    string
		kill     bool
		unlogged int
	}{
		{"a clean restart", false, 1000},
		{"a crash", true, 0},
		{"another crash", true, 0},
	} {
		if tt.kill {
			s.Kill()
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatalf("after %s: %v", tt.after, err)
		}
		if s.URL("postgres") != url {
			t.Errorf("after %s: the URL is %s, was %s", tt.after, s.URL("postgres"), url)
		}
		if got := query[int](t, url, "SELECT count(*) FROM logged"); got != 1000 {
			t.Errorf("after %s: %d committed rows, want 1000", tt.after, got)
		}
		if got := query[int](t, url, "SELECT count(*) FROM unlogged"); got != tt.unlogged {
			t.Errorf("after %s: %d unlogged rows, want %d", tt.after, got, tt.unlogged)
		}
	}
}

// Postgres refuses to run as root, and CI often is root.
func TestRootDropsPrivileges(t *testing.T) {
	t.Parallel()
	shared.Database(t, Template{})
	s := shared.server
	info, err := os.Stat(s.data())
	if err != nil {
		t.Fatal(err)
	}
	want := os.Geteuid()
	if s.as != nil {
		want = int(s.as.Uid)
	}
	if want == 0 {
		t.Error("postgres runs as root")
	}
	if got := int(info.Sys().(*syscall.Stat_t).Uid); got != want {
		t.Errorf("the data belongs to user %d, want %d", got, want)
	}
}

func TestStartSaysWhatPostgresSaid(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Bin: os.Getenv("SIMUSAGE_PGBIN"), Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("got %v", err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(ctx, Options{}); !errors.Is(err, context.Canceled) {
		if err == nil {
			s.Stop()
		}
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestFreePortIsNoneOfTheSystems(t *testing.T) {
	t.Parallel()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	if port < 20000 || port >= 32000 {
		t.Error("port " + strconv.Itoa(port) + " could be given to a client")
	}
}
