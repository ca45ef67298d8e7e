package pgtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running Postgres and the directory it lives in.
type Server struct {
	opts Options
	bin  string
	as   *syscall.Credential // nil: ourselves
	home string              // the directory: data/, log and the marks of sweep.go
	lock *os.File            // the mark that we live; nil once stopped
	port int

	mu    sync.Mutex // one of Stop, Kill, Restart at a time
	child *child     // nil while the server is down
}

// Start makes a server: directory, initdb, postgres. It returns once the
// server takes connections.
func Start(ctx context.Context, opts Options) (*Server, error) {
	as, err := credential()
	if err != nil {
		return nil, err
	}
	bin, err := find(ctx, opts.Bin, as)
	if err != nil {
		return nil, err
	}
	parent := tempDir(as)
	sweep(parent)
	home, lock, err := claimNew(parent)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, bin: bin, as: as, home: home, lock: lock}
	if err := s.initdb(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	err = s.attempt(ctx, func() (err error) {
		s.port, err = freePort()
		return err
	})
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// URL is how to connect to a database of the server, as its superuser.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(superuser),
		Host:     net.JoinHostPort(loopback, strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Home is the directory of the server: data and log.
func (s *Server) Home() string { return s.home }

// CreateDatabase makes a database, as a copy of template or, if that is empty,
// an empty one. Nobody may be connected to the template meanwhile.
func (s *Server) CreateDatabase(ctx context.Context, name, template string) error {
	sql := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if template != "" {
		sql += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	if err := s.admin(ctx, sql); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// dropDatabase removes a database, whoever is still connected to it.
func (s *Server) dropDatabase(ctx context.Context, name string) error {
	if err := s.admin(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// Stop ends the server, without any checkpoint, and removes all it has
// written. Stopping twice is fine.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return
	}
	s.end(syscall.SIGQUIT)
	os.RemoveAll(s.home) // what resists is swept up by a later Start
	s.lock.Close()
	s.lock = nil
}

// Restart starts the server again on the same data and port: after Kill with
// crash recovery, otherwise cleanly, ending all connections.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return fmt.Errorf("restart postgres on port %d: it was stopped", s.port)
	}
	s.end(syscall.SIGINT)
	return s.attempt(ctx, func() error { return nil })
}

// Kill ends the postmaster and all its processes by SIGKILL, as a crash.
// Restart or Stop comes next.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

// Freeze stops the postmaster and all its processes where they are, until Thaw:
// whoever is connected stays so, and gets no answer.
func (s *Server) Freeze() { s.signalAll(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signalAll(syscall.SIGCONT) }

func (s *Server) signalAll(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The postmaster first: it could start another process meanwhile.
	postmaster := s.child.cmd.Process
	postmaster.Signal(sig)
	for _, pid := range children(postmaster.Pid) {
		syscall.Kill(pid, sig)
	}
}

// Ended is closed when the running server has ended, by whatever: a shutdown, a
// crash, a disk without room for its WAL.
func (s *Server) Ended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child.done
}

func (s *Server) kill() {
	if s.child == nil {
		return
	}
	postmaster := s.child.cmd.Process
	// Frozen first: a running postmaster would answer the death of a backend
	// by starting new ones.
	postmaster.Signal(syscall.SIGSTOP)
	backends := children(postmaster.Pid)
	for _, pid := range backends {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	postmaster.Kill()
	<-s.child.done
	// A backend that is not gone yet holds the shared memory, and Restart
	// would be refused.
	for _, pid := range backends {
		waitGone(pid)
	}
	s.child = nil
}

// end sends the postmaster a signal to shut down by, and waits for that.
func (s *Server) end(sig os.Signal) {
	if s.child == nil {
		return
	}
	s.child.cmd.Process.Signal(sig)
	select {
	case <-s.child.done:
		s.child = nil
	case <-time.After(10 * time.Second):
		s.kill()
	}
}

// attempt starts Postgres, again if need be: another process may have taken
// the port between our look and its use.
func (s *Server) attempt(ctx context.Context, prepare func() error) (err error) {
	for range 3 {
		if err = prepare(); err != nil {
			return err
		}
		err = s.launch(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

// launch starts Postgres once and waits until it takes connections.
func (s *Server) launch(ctx context.Context) error {
	log, err := os.Create(filepath.Join(s.home, "log"))
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	defer log.Close() // the child has its own handle
	// ctx bounds the start; the server lives on after it.
	cmd := s.command(context.WithoutCancel(ctx), "postgres", "-D", s.data(), "-p", strconv.Itoa(s.port))
	// A file and not a pipe: `go test` waits for whoever holds its own output,
	// and a kept server would hold it for ever.
	cmd.Stdout, cmd.Stderr = log, log
	c, err := spawn(cmd, s.as, s.opts.Keep)
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.child = c
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !s.ready() {
		select {
		case <-c.done:
			s.child = nil
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("start postgres: %w\n%s", c.err, said)
		case <-ctx.Done():
			s.kill()
			return fmt.Errorf("start postgres: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// ready reads the postmaster's own word, as pg_ctl does: line 8 of its pid
// file. Connecting instead could reach somebody else's server on that port.
func (s *Server) ready() bool {
	file, err := os.ReadFile(filepath.Join(s.data(), pidFile))
	if err != nil {
		return false
	}
	lines := strings.Split(string(file), "\n")
	return len(lines) > 7 &&
		lines[0] == strconv.Itoa(s.child.cmd.Process.Pid) && // a crash leaves the old file
		strings.TrimSpace(lines[7]) == "ready"
}

// command prepares one of Postgres' programs. It sees nothing of our
// environment: PGPORT, PGDATA and their like would mislead it.
func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.Dir = s.home
	cmd.Env = []string{"HOME=" + s.data(), "PATH=/usr/bin:/bin", "LC_ALL=C"}
	return cmd
}

// admin runs one statement as superuser, outside of any transaction.
func (s *Server) admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// freePort finds a loopback port that nobody listens on. It looks below the
// ports that systems hand to outgoing connections: from among those, a client
// that keeps trying while the server is down could be given the server's own.
func freePort() (int, error) {
	var failed error
	for range 20 {
		port := 20000 + rand.N(12000)
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		failed = err
	}
	return 0, fmt.Errorf("find a free port: %w", failed)
}
