package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// built is the real program, built once by the first test that wants it.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// binary is the path of the real program: with the race detector where that can be had.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "simusage-test-"); built.err != nil {
			return
		}
		built.err = build(filepath.Join(built.dir, "simusage"))
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "simusage")
}

func build(path string, flags ...string) error {
	args := append([]string{"build", "-o", path}, flags...)
	if exec.Command("go", append(args, "-race", ".")...).Run() == nil {
		return nil
	}
	return exec.Command("go", append(args, ".")...).Run()
}

// newer builds a later version of the real program: it has one migration more, and, if told, the way back from it.
func newer(t *testing.T, migration string, back ...string) (path string) {
	t.Helper()
	files, err := filepath.Glob("../../migrations/*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	var newest int // of the migrations; some numbers may be left out
	if _, err := fmt.Sscanf(filepath.Base(files[len(files)-1]), "%d", &newest); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := make(map[string]string)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for i, text := range append([]string{migration}, back...) {
		added, err := filepath.Abs(fmt.Sprintf("../../migrations/%06d_newer.%s.sql", newest+1, []string{"up", "down"}[i]))
		if err != nil {
			t.Fatal(err)
		}
		replace[added] = write(filepath.Base(added), text)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write("overlay.json", string(overlay))
	path = filepath.Join(dir, "simusage")
	if err := build(path, "-overlay", filepath.Join(dir, "overlay.json")); err != nil {
		t.Fatal(err)
	}
	return path
}

// process is the real program at work.
type process struct {
	cmd      *exec.Cmd
	out, log bytes.Buffer
	ended    chan struct{}
}

// start starts the real program. It dies with the test at the latest.
func (b *bench) start(args ...string) *process {
	b.t.Helper()
	return b.startThe(binary(b.t), args...)
}

func (b *bench) startThe(program string, args ...string) *process {
	b.t.Helper()
	p := &process{cmd: exec.CommandContext(b.t.Context(), program, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.Env = []string{"GORACE=halt_on_error=1"}
	for name, value := range b.env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	if err := p.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.cmd.Wait()
	}()
	return p
}

// end waits for the end and wants an exit code.
func (p *process) end(t *testing.T, code int) result {
	t.Helper()
	<-p.ended
	r := result{p.cmd.ProcessState.ExitCode(), p.out.String(), p.log.String()}
	if r.code != code {
		t.Fatalf("simusage %s: exit code %d, want %d\n%s%s", strings.Join(p.cmd.Args[1:], " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}
