package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// holdEnv turns the test binary into a program that starts a server and waits
// to be killed.
const holdEnv = "SIMUSAGE_PGTEST_HOLD"

func hold() {
	s, err := Start(context.Background(), Options{Bin: os.Getenv("SIMUSAGE_PGBIN")})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.home)
	fmt.Println(s.child.cmd.Process.Pid)
	select {}
}

func gone(home string) bool {
	_, err := os.Stat(home)
	return errors.Is(err, os.ErrNotExist)
}

// eventually waits for a sweep that may be another test's: Start sweeps too.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 5 s still not so: %s", what)
		}
	}
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	program := exec.Command(os.Args[0])
	program.Env = append(os.Environ(), holdEnv+"=1")
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	home := lines.Text()
	lines.Scan()
	pid, err := strconv.Atoi(lines.Text())
	program.Process.Kill()
	program.Wait()
	if err != nil {
		t.Fatalf("it says: %s", home)
	}
	if runtime.GOOS == "linux" {
		eventually(t, "the kernel stopped postgres", func() bool { return commandLine(pid) == "" })
	}
	sweep(filepath.Dir(home))
	eventually(t, "postgres is gone", func() bool { return commandLine(pid) == "" })
	eventually(t, "its directory is gone", func() bool { return gone(home) })
}

func TestKeptServerStaysForAWhile(t *testing.T) {
	t.Parallel()
	s := shared.MustStart(t, Options{Keep: true})
	if err := s.keep(); err != nil {
		t.Fatal(err)
	}
	s.lock.Close() // as if our process had ended
	sweep(filepath.Dir(s.home))
	if got := query[int](t, s.URL("postgres"), "SELECT 1"); got != 1 {
		t.Fatal("the kept server was swept")
	}
	old := time.Now().Add(-keptFor - time.Minute)
	if err := os.Chtimes(filepath.Join(s.home, keptFile), old, old); err != nil {
		t.Fatal(err)
	}
	sweep(filepath.Dir(s.home))
	eventually(t, "the old server is gone", func() bool { return gone(s.home) })
	if line := commandLine(s.child.cmd.Process.Pid); line != "" {
		t.Errorf("its process is still there: %s", line)
	}
}

func TestSweepTakesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	claimed := func() (string, *os.File) {
		home, lock, err := claimNew(parent)
		if err != nil {
			t.Fatal(err)
		}
		return home, lock
	}
	alive, lock := claimed()
	defer lock.Close()
	dead, lock := claimed()
	lock.Close()
	target, lock := claimed()
	lock.Close()

	unmarked := filepath.Join(parent, prefix+"unmarked")
	if err := os.Mkdir(unmarked, 0o700); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(parent, "elsewhere")
	if err := os.Rename(target, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(parent, prefix+"link")); err != nil {
		t.Fatal(err)
	}
	// A dead server's number, which now is a stranger's.
	stranger := exec.Command("sleep", "60")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer stranger.Wait()
	defer stranger.Process.Kill()
	if err := os.Mkdir(filepath.Join(dead, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	pid := fmt.Sprintf("%d\n", stranger.Process.Pid)
	if err := os.WriteFile(filepath.Join(dead, "data", pidFile), []byte(pid), 0o600); err != nil {
		t.Fatal(err)
	}

	sweep(parent)
	for path, want := range map[string]bool{alive: false, dead: true, unmarked: false, elsewhere: false} {
		if gone(path) != want {
			t.Errorf("%s gone: %v, want %v", path, !want, want)
		}
	}
	if commandLine(stranger.Process.Pid) == "" {
		t.Error("the sweep ended a stranger")
	}
}
