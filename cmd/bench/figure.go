package main

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// figure is one row of the table.
type figure struct {
	what     string
	measured string
	ratio    string // against what, where it is one
	target   string
	verdict  string
}

// target is what a value is to reach.
type target struct {
	sign  string
	limit float64
}

func atLeast(limit float64) target { return target{"≥", limit} }
func atMost(limit float64) target  { return target{"≤", limit} }

func (t target) reached(value float64) bool {
	if t.sign == "≥" {
		return value >= t.limit
	}
	return value <= t.limit
}

// note adds a figure that is only told.
func (b *bench) note(what, measured string) {
	b.figures = append(b.figures, figure{what: what, measured: measured})
}

// hold adds a figure and holds it against a target: the measured value itself, or its ratio to something where measured
// says the value.
func (b *bench) hold(what, measured string, value float64, unit string, t target) {
	f := figure{what: what, measured: measured, target: t.sign + " " + number(t.limit), verdict: "missed"}
	text := strings.TrimSpace(number(value) + " " + unit)
	if measured == "" {
		f.measured = text
	} else {
		f.ratio = text
	}
	if t.reached(value) {
		f.verdict = "reached"
	}
	b.figures = append(b.figures, f)
}

// series is what the rounds have measured.
type series []float64

func (s *series) add(v float64) { *s = append(*s, v) }

func (s series) last() float64 { return s[len(s)-1] }

func (s series) most() float64 { return slices.Max(s) }

func (s series) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// percentile is what so many of a hundred values are at most.
func (s series) percentile(p int) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[(len(sorted)-1)*p/100]
}

// number is a number with three digits that count, as far as it has a fraction.
func number(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) || a >= 100:
		return thousands(int(math.Round(v)))
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// thousands is a whole number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// count is a number of things.
func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return thousands(n) + " " + of + "s"
}

func rate(rowsPerSec float64) string {
	digits := math.Pow(10, math.Floor(math.Log10(rowsPerSec))-2) // three count
	return thousands(int(math.Round(rowsPerSec/digits)*digits)) + " rows/s"
}
