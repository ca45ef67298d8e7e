package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vbauerster/mpb/v8/cwriter"
	"golang.org/x/term"
)

// terminal says whether somebody sits in front of w.
func terminal(w io.Writer) bool {
	if _, ok := w.(*screen); ok {
		return true
	}
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// screen is a terminal with a line at its end that is drawn again and again. Whatever else is written comes above it, whole:
// the line goes, the text comes, and the line comes back, in one write.
type screen struct {
	mu   sync.Mutex
	out  *cwriter.Writer
	line string // empty for none
}

func newScreen(w io.Writer) *screen { return &screen{out: cwriter.New(w)} }

// Write writes lines.
func (s *screen) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Write(lines) // to memory
	return len(lines), s.flush()
}

// draw replaces the line; by nothing, to end it.
func (s *screen) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line = line
	_ = s.flush() // a terminal that is gone is no reason to end
}

// flush writes what there is, and the line below. A line that the terminal would break could not be taken back.
func (s *screen) flush() error {
	if s.line == "" {
		return s.out.Flush(0)
	}
	line := []rune(s.line)
	if width, _, err := s.out.GetTermSize(); err == nil && width > 0 && len(line) >= width {
		line = line[:width-1]
	}
	fmt.Fprintln(s.out, string(line)) // to memory
	return s.out.Flush(1)
}

// dumb says whether the terminal can only be written on: no colours, and nothing is drawn twice.
func (p *program) dumb() bool {
	name, _ := p.env.Lookup("TERM")
	return name == "dumb"
}

// color is what a terminal calls a colour.
type color string

const (
	red    color = "31"
	green  color = "32"
	yellow color = "33"
)

// painter gives text a colour, or leaves it as it is where colours are not wanted: NO_COLOR is how people say so.
func (p *program) painter(w io.Writer) func(color, string) string {
	unwanted, _ := p.env.Lookup("NO_COLOR")
	if !terminal(w) || p.dumb() || unwanted != "" {
		return func(_ color, text string) string { return text }
	}
	return func(c color, text string) string { return "\x1b[" + string(c) + "m" + text + "\x1b[0m" }
}
