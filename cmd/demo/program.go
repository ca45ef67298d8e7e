package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// program is the real simusage and the environment to run it in.
type program struct {
	path string
	env  []string
}

// build makes the program from the sources around us.
func (s *stage) build(ctx context.Context) (err error) {
	module, err := os.ReadFile("go.mod")
	if err != nil || !bytes.HasPrefix(module, []byte("module simusage\n")) {
		return errors.New("run this from the root of the repository, where go.mod is: make demo")
	}
	if s.dir, err = os.MkdirTemp("", "simusage-demo-"); err != nil {
		return err
	}
	s.program.path = filepath.Join(s.dir, "simusage")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", s.program.path, "./cmd/simusage")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}

// run runs the program and returns the lines it printed. extra goes before the environment that all runs have.
func (p program) run(ctx context.Context, extra []string, args ...string) ([]string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = append(extra, p.env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A group of its own, so that Ctrl-C in the terminal is for the demo, which then ends its children itself, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("simusage %s: %w\n%s", strings.Join(args, " "), err, tail(stdout.String()+stderr.String(), 20))
	}
	return lines(stdout.String()), nil
}

func lines(text string) []string {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// tail is the last n lines.
func tail(text string, n int) string {
	all := lines(text)
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
