package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
)

// child is a process of ours. done is closed when it has ended.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // what Wait said; read it after done
}

// spawn starts cmd as the given user. Unless it outlives us, Linux ends it
// when the thread that started it ends: not the process, the thread. The Go
// runtime ends idle threads as it likes, so the goroutine that starts the
// child keeps its thread to itself until the child is gone.
func spawn(cmd *exec.Cmd, as *syscall.Credential, outlive bool) (*child, error) {
	// A group of its own: Ctrl-C in a terminal is for us, and we stop Postgres
	// when we no longer need it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	if !outlive {
		endWithParent(cmd.SysProcAttr)
	}
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// run is spawn for a command that ends by itself.
func run(cmd *exec.Cmd, as *syscall.Credential) error {
	c, err := spawn(cmd, as, false)
	if err != nil {
		return err
	}
	<-c.done
	return c.err
}

// credential is the user to run Postgres as: ourselves, or somebody harmless
// if we are root, because Postgres refuses to run as root.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user id of %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("group id of %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("postgres does not run as root, and there is no user postgres or nobody to run it as")
}
