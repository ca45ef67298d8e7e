package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A server's directory says by itself whether it is still needed. The process
// that started the server holds a lock on the file "owner" in it; the kernel
// takes the lock away when that process dies, however it dies, and a process
// number that comes round again deceives nobody. The file "kept" says that a
// failed test left its server running on purpose.
const (
	prefix    = "simusage-pg-"
	ownerFile = "owner"
	keptFile  = "kept"
	pidFile   = "postmaster.pid"

	// keptFor is how long a kept server may stay.
	keptFor = 2 * time.Hour
)

// claimNew makes a directory for a server and locks it.
func claimNew(parent string) (home string, lock *os.File, err error) {
	home, err = os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", nil, fmt.Errorf("make server directory: %w", err)
	}
	if lock, err = mark(home); err != nil {
		os.RemoveAll(home)
		return "", nil, fmt.Errorf("mark server directory: %w", err)
	}
	return home, lock, nil
}

func mark(home string) (*os.File, error) {
	// Whoever Postgres runs as must be able to reach the data inside.
	if err := os.Chmod(home, 0o711); err != nil {
		return nil, err
	}
	// Locked before it gets its name, so that no sweep finds it unlocked.
	fresh := filepath.Join(home, ownerFile+".new")
	lock, err := os.OpenFile(fresh, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(lock, os.Getpid()) // for people
	if err := tryLock(lock); err != nil {
		lock.Close()
		return nil, err
	}
	if err := os.Rename(fresh, filepath.Join(home, ownerFile)); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// sweep removes the directories, and ends the servers, of processes that died
// without doing so themselves. What it cannot remove it leaves: a leftover is
// no reason to fail the test that comes upon it.
func sweep(parent string) {
	homes, _ := filepath.Glob(filepath.Join(parent, prefix+"*")) // only a malformed pattern is an error
	for _, home := range homes {
		lock, ours := claim(home)
		if !ours {
			continue
		}
		pid := postmaster(home)
		if pid == 0 || !keptStill(home) {
			if pid != 0 {
				syscall.Kill(pid, syscall.SIGQUIT)
				waitGone(pid)
			}
			os.RemoveAll(home)
		}
		lock.Close()
	}
}

// claim takes over a directory whose process is dead. Names in a temporary
// directory are anybody's to choose, hence the look at the owner.
func claim(home string) (lock *os.File, ours bool) {
	info, err := os.Lstat(home)
	if err != nil || !info.IsDir() {
		return nil, false
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known || int(stat.Uid) != os.Geteuid() {
		return nil, false
	}
	lock, err = os.OpenFile(filepath.Join(home, ownerFile), os.O_RDWR, 0)
	if err != nil {
		return nil, false
	}
	if err := tryLock(lock); err != nil {
		lock.Close()
		return nil, false
	}
	return lock, true
}

// postmaster is the process that serves the directory, 0 if none does. The pid
// file alone does not prove it: after a crash it names whoever has that number
// now.
func postmaster(home string) int {
	data := filepath.Join(home, "data")
	file, err := os.ReadFile(filepath.Join(data, pidFile))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(file), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 || !strings.Contains(commandLine(pid), data) {
		return 0
	}
	return pid
}

func keptStill(home string) bool {
	info, err := os.Stat(filepath.Join(home, keptFile))
	return err == nil && time.Since(info.ModTime()) < keptFor
}

// keep leaves the server to people: it goes on when this process ends, until a
// sweep finds it too old.
func (s *Server) keep() error {
	return os.WriteFile(filepath.Join(s.home, keptFile), nil, 0o600)
}

// waitGone waits until a process has ended, a few seconds at most.
func waitGone(pid int) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if commandLine(pid) == "" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
