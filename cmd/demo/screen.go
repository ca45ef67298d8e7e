package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// screen is where the demo speaks. Colour is for terminals only: elsewhere the codes would be noise.
type screen struct {
	to     io.Writer
	colour bool
}

const (
	bold = "1"
	dim  = "2"
	good = "1;32"
	bad  = "1;31"
)

func (s screen) style(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s screen) title(text string) {
	fmt.Fprintf(s.to, "%s\n\n", s.style(bold, text))
}

// step announces what comes next: what happens, and why.
func (s screen) step(what, why string) {
	fmt.Fprintf(s.to, "\n%s %s\n", s.style(bold, what+"."), why)
}

func (s screen) say(format string, args ...any) {
	fmt.Fprintf(s.to, format+"\n", args...)
}

// quote shows a command and what it printed.
func (s screen) quote(command string, lines []string) {
	fmt.Fprintf(s.to, "  %s %s\n", s.style(dim, "$"), command)
	for _, line := range lines {
		fmt.Fprintf(s.to, "  %s %s\n", s.style(dim, "│"), line)
	}
}

// table shows rows of text in columns: numbers to the right, everything else to the left.
func (s screen) table(title string, columns []string, rows [][]string) {
	fmt.Fprintf(s.to, "\n  %s\n", title)
	widths, right := make([]int, len(columns)), make([]bool, len(columns))
	for i, name := range columns {
		widths[i], right[i] = utf8.RuneCountInString(name), true
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			right[i] = right[i] && strings.Trim(row[i], "0123456789,.-") == ""
		}
	}
	line := func(cells []string) string {
		var b strings.Builder
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if right[i] {
				b.WriteString("   " + pad + cell)
			} else {
				b.WriteString("   " + cell + pad)
			}
		}
		return strings.TrimRight(b.String(), " ")
	}
	fmt.Fprintf(s.to, " %s\n", s.style(dim, line(columns)))
	for _, row := range rows {
		fmt.Fprintf(s.to, " %s\n", line(row))
	}
}
