package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// audience takes down what the demo says, and leaves when it hears the words.
type audience struct {
	mu    sync.Mutex
	heard strings.Builder
	words string
	leave context.CancelFunc
}

func (a *audience) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard.Write(p)
	if strings.Contains(a.heard.String(), a.words) {
		a.leave()
	}
	return len(p), nil
}

// watch runs the demo from the repository's root until it says the words, as if by Ctrl-C then.
func watch(t *testing.T, words string, args ...string) (code int, said, complained string) {
	t.Helper()
	t.Chdir("../..")
	before := leftovers(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := &audience{words: words, leave: cancel}
	var stderr strings.Builder
	code = run(ctx, args, screen{to: a}, &stderr)
	for _, dir := range leftovers(t) {
		if !slices.Contains(before, dir) {
			t.Errorf("the demo left %s behind", dir)
		}
	}
	return code, a.heard.String(), stderr.String()
}

func leftovers(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), "simusage-demo-*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func TestDemo(t *testing.T) {
	code, said, complained := watch(t, "Ctrl-C ends and removes everything", "-hold")
	if code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, complained)
	}
	for _, want := range []string{
		`(?m)^[0-9]{5,} rows of 12 views compared: all equal\.$`,
		`10 % of all answers are made to fail`,
		`(?m)^ +hour/country +3[56] +3[56] +0$`,
		`(?m)^ +hour/sim@country +3[56] +3[56] +0$`,
		`(?m)^    PGOPTIONS='-c role=usage_reader .*' psql 'postgres://`,
		`(?m)^    host=127\.0\.0\.1 port=[0-9]+ dbname=simusage options='-c role=usage_reader'$`,
		`(?m)^    export DATABASE_URL='postgres://`,
		`(?m)^Open it in a browser: file:///.+/bin/usage\.html$`,
		`Stopped, and everything is cleaned up\.`,
	} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("the demo does not say %s", want)
		}
	}
	if strings.Contains(said, "\x1b") {
		t.Error("there are colours in what is no terminal")
	}
	if t.Failed() {
		t.Log(said)
	}
}

func TestStoppedMidway(t *testing.T) {
	code, said, _ := watch(t, "\nSync. ")
	if code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if strings.Contains(said, "compared") || !strings.HasSuffix(said, "Stopped, and everything is cleaned up.\n") {
		t.Errorf("the demo went on after it was stopped:\n%s", said)
	}
}

func TestElsewhere(t *testing.T) {
	t.Chdir(t.TempDir())
	var out, stderr strings.Builder
	if code := run(t.Context(), nil, screen{to: &out}, &stderr); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(stderr.String(), "root of the repository") {
		t.Errorf("it does not say where to run it: %s", stderr.String())
	}
}

// The verdict is worth something only if it can be the other one.
func TestDifference(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want []string
		said      int
	}{
		{"equal", []string{"a", "b"}, []string{"a", "b"}, 0},
		{"nothing on both sides", nil, nil, 1},
		{"a row too few", []string{"a"}, []string{"a", "b"}, 2},
		{"a row too many", []string{"a", "b"}, []string{"a"}, 2},
		{"a row twice", []string{"a", "a"}, []string{"a"}, 1},
		{"another row", []string{"a", "c"}, []string{"a", "b"}, 3},
	} {
		if said := difference("usage.view", c.got, c.want); len(said) != c.said {
			t.Errorf("%s: %d lines, want %d: %q", c.name, len(said), c.said, said)
		}
	}
}
