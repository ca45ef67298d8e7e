package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"simusage/extract/fakeapi"
	"simusage/pipeline"
)

// pseudoTerminal is a terminal of 100 columns, and the other side of it, where what is written to it comes out.
func pseudoTerminal(t *testing.T) (tty, keyboard *os.File) {
	t.Helper()
	keyboard, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close(); keyboard.Close() })
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 50, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	return tty, keyboard
}

// The line says how far a run is, what it waits for, and how long it takes as far as that is known.
func TestProgressLine(t *testing.T) {
	t.Parallel()
	m := &meter{command: "sync"}
	if got := m.line(noon); got != "sync: counting what is due" {
		t.Errorf("before anything is known: %q", got)
	}
	for _, c := range []struct {
		after time.Duration // since the run began
		p     pipeline.Progress
		want  string
	}{
		{0, pipeline.Progress{Due: 90, Left: 90}, "sync: 0 of 90 slices, 0 rows, time left unknown"},
		{time.Second, pipeline.Progress{Due: 90, Left: 88, Pages: 3, Rows: 3000}, "sync: 2 of 90 slices, 3000 rows, 3000/s, time left unknown"},
		{10 * time.Second, pipeline.Progress{Due: 90, Left: 80, Pages: 20, Rows: 20000}, "sync: 10 of 90 slices, 20000 rows, 2000/s, 2m left"},
		{20 * time.Second, pipeline.Progress{Due: 90, Left: 40, Pages: 40, Rows: 30000, Failed: 1, Retries: 1}, "sync: 50 of 90 slices, 30000 rows, 1000/s, 20s left, 1 slice failed, 1 retry"},
		{25 * time.Second, pipeline.Progress{Due: 90, Left: 40, Pages: 40, Rows: 30000, Failed: 1, Retries: 5, Throttled: 3}, "sync: 50 of 90 slices, 30000 rows, waiting 5s: the API says 429, 25s left, 1 slice failed, 5 retries (3 × 429)"},
		{51 * time.Second, pipeline.Progress{Due: 90, Left: 40, Pages: 41, Rows: 31000, Retries: 5, Throttled: 3}, "sync: 50 of 90 slices, 31000 rows, time left unknown, 5 retries (3 × 429)"},
		{55 * time.Second, pipeline.Progress{Due: 90, Left: 40, Pages: 41, Rows: 31000, Retries: 6, Throttled: 3}, "sync: 50 of 90 slices, 31000 rows, waiting 4s: the API fails, trying again, time left unknown, 6 retries (3 × 429)"},
		{2 * time.Minute, pipeline.Progress{Due: 90, Left: 2, Elsewhere: 2, Pages: 80, Rows: 60000}, "sync: 88 of 90 slices, 60000 rows, waiting for 2 slices of other processes, 5s left"},
		{3 * time.Minute, pipeline.Progress{Due: 90, Pages: 80, Rows: 60000}, "sync: 90 of 90 slices, 60000 rows, finishing"},
		{4 * time.Minute, pipeline.Progress{Due: 93, Left: 3, Pages: 80, Rows: 60000}, "sync: 90 of 93 slices, 60000 rows, 10s left"},
		{4*time.Minute + 5*time.Second, pipeline.Progress{Due: 93, Left: 3, Pages: 80, Rows: 60000}, "sync: 90 of 93 slices, 60000 rows, no page for 5s, 10s left"},
		{5 * time.Hour, pipeline.Progress{Due: 293, Left: 193, Pages: 81, Rows: 60001}, "sync: 100 of 293 slices, 60001 rows, 9h39m left"},
	} {
		m.see(c.p, noon.Add(c.after))
		if got := m.line(noon.Add(c.after)); got != c.want {
			t.Errorf("after %s: %q, want %q", c.after, got, c.want)
		}
	}
}

// shown is what a terminal shows after all that was written to it: its lines, as far as cursor up and erase go.
func shown(written string) []string {
	lines := []string{""}
	for _, part := range regexp.MustCompile(`\r\n|\x1b\[\d+A|\x1b\[J|[^\r\x1b]+`).FindAllString(written, -1) {
		switch {
		case part == "\r\n":
			lines = append(lines, "")
		case strings.HasSuffix(part, "A"):
			lines = lines[:len(lines)-1]
		case part == "\x1b[J":
			lines[len(lines)-1] = ""
		default:
			lines[len(lines)-1] += part
		}
	}
	return lines
}

// recorder reads what comes out of a terminal and tells when it has seen something.
type recorder struct {
	text strings.Builder
	told map[string]chan struct{}
}

// record reads until all of the texts have come; each is told once.
func record(from io.Reader, texts ...string) (*recorder, func(text string) <-chan struct{}) {
	r := &recorder{told: make(map[string]chan struct{})}
	for _, text := range texts {
		r.told[text] = make(chan struct{})
	}
	channels := maps.Clone(r.told)
	go func() {
		for in := bufio.NewReader(from); len(r.told) > 0; {
			b, err := in.ReadByte()
			if err != nil {
				return
			}
			r.text.WriteByte(b)
			for text, seen := range r.told {
				if strings.HasSuffix(r.text.String(), text) {
					delete(r.told, text)
					close(seen)
				}
			}
		}
	}()
	return r, func(text string) <-chan struct{} { return channels[text] }
}

// On a terminal a run shows how far it is, below the log, and leaves nothing behind.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		env   env
		drawn bool
		lines int // of the log about slices that went well
	}{
		{"quiet", nil, true, 0}, {"info", env{"SIMUSAGE_LOG": "info"}, true, 9}, {"dumb", env{"TERM": "dumb"}, false, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{}).with(c.env)
			b.t = t
			tty, keyboard := pseudoTerminal(t)
			const line, end = "sync: 0 of 12 slices, 0 rows, time left unknown\r\n", "the end\r\n"
			r, seen := record(keyboard, line, end)
			b.api.Inject(fakeapi.Fault{Times: -1, Do: fakeapi.HTML(400), Match: func(r *http.Request) bool {
				return r.URL.Query().Get("Group") == "" && strings.HasPrefix(r.URL.Query().Get("StartTime"), "2026-03-09")
			}})
			if c.drawn {
				b.api.Inject(fakeapi.Fault{Times: 1, Do: func(w http.ResponseWriter, req *http.Request, next http.Handler) {
					select { // no page before the line is there
					case <-seen(line):
					case <-req.Context().Done():
					}
					next.ServeHTTP(w, req)
				}})
			}
			var out bytes.Buffer
			p := b.program(&out, nil)
			p.stderr = tty
			if code := p.run(t.Context(), []string{"sync", "--concurrency=1"}); code != 3 {
				t.Errorf("exit code %d", code)
			}
			io.WriteString(tty, "the end\n")
			select {
			case <-seen(end):
			case <-t.Context().Done():
				t.Fatal("the terminal has not shown everything")
			}
			written, lines := r.text.String(), shown(r.text.String())
			if drawn := strings.Contains(written, line); drawn != c.drawn || strings.Contains(written, "\x1b") != c.drawn {
				t.Errorf("drawn: %v\n%q", drawn, written)
			}
			slices := 0
			for i, line := range lines {
				whole := strings.HasPrefix(line, "time=") && strings.Contains(line, " level=") || strings.HasPrefix(line, "simusage: ") || i >= len(lines)-2
				if !whole || strings.Count(line, "time=20") > 1 || strings.Contains(line, " of 12 slices") {
					t.Errorf("garbled: %q", line)
				}
				if strings.Contains(line, "msg=slice ") {
					slices++
				}
			}
			if slices != c.lines || lines[len(lines)-2] != "the end" || !strings.Contains(written, "simusage: hour/total 2026-03-09") {
				t.Errorf("%d slices are logged, want %d; the screen shows\n%s", slices, c.lines, strings.Join(lines, "\n"))
			}
		})
	}
}

// Elsewhere a run logs a line of JSON for each slice, and one for itself at the end, in which every duration has its unit.
func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	count := make(map[string]int)
	for line := range strings.Lines(b.must(0, "sync").stderr) {
		var said struct {
			Msg, Slice, Took string
			Summary          struct {
				Slices int
				Took   string
				Phases map[string]string
			}
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch count[said.Msg]++; said.Msg {
		case "slice":
			if _, err := time.ParseDuration(said.Took); err != nil || said.Slice == "" {
				t.Errorf("%v: %s", err, line)
			}
		case "run":
			if len(said.Summary.Phases) == 0 || said.Summary.Slices != 12 {
				t.Errorf("the run is not summed up: %s", line)
			}
			for phase, took := range said.Summary.Phases {
				if _, err := time.ParseDuration(took); err != nil {
					t.Errorf("phase %s: %v", phase, err)
				}
			}
		}
	}
	if count["slice"] != 12 || count["run"] != 1 {
		t.Errorf("%v lines, want 12 for slices and 1 for the run", count)
	}
}
