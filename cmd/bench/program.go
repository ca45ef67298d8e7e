package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"simusage/extract"
)

// ran is what a run of the program took and said.
type ran struct {
	took      time.Duration // from its start to its end
	processor time.Duration // of its own
	peak      int64         // bytes of memory
	said      string
}

// simusage runs the program.
func (b *bench) simusage(ctx context.Context, env []string, args ...string) (ran, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A group of its own, so that Ctrl-C in the terminal is for bench, which then ends its children itself, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	began := time.Now()
	err := cmd.Run()
	r := ran{took: time.Since(began), said: stdout.String()}
	if err != nil {
		said := strings.Split(strings.TrimSpace(stdout.String()+stderr.String()), "\n")
		return r, fmt.Errorf("simusage %s: %w\n%s", strings.Join(args, " "), err, strings.Join(said[max(0, len(said)-10):], "\n"))
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return r, fmt.Errorf("simusage %s: no telling what memory it took", strings.Join(args, " "))
	}
	r.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	r.peak = int64(usage.Maxrss)
	if runtime.GOOS != "darwin" { // which says bytes, and everybody else kilobytes
		r.peak <<= 10
	}
	return r, nil
}

// environment is what the program is told: nothing but who, from where and where to, so that all else is its default.
func environment(d *database, api *simulated) []string {
	return []string{"DATABASE_URL=" + d.url, "SIMUSAGE_BASE_URL=" + api.url, "TWILIO_ACCOUNT_SID=" + accountSID(0), "TWILIO_AUTH_TOKEN=secret"}
}

// backfill loads a window.
func (b *bench) backfill(ctx context.Context, d *database, api *simulated, w extract.Window, more ...string) (ran, error) {
	args := append([]string{"backfill", "--from", w.Start.Format(time.DateOnly), "--to", w.End.Format(time.DateOnly)}, more...)
	return b.simusage(ctx, environment(d, api), args...)
}
