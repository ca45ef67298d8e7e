package report

import (
	"fmt"
	"strings"
	"time"
)

// spark is a small line of days, without axes: the text beside it has the numbers.
type spark struct {
	Width, Height int
	Line, Area    string // paths of SVG
	Says          string // for those who hear it
}

// newSpark draws days that begin at from.
func newSpark(from time.Time, days []int64) spark {
	s := spark{Width: 120, Height: 26}
	if len(days) == 0 {
		return s
	}
	high, at := int64(0), 0
	for i, n := range days {
		if n > high {
			high, at = n, i
		}
	}
	const pad = 2.0
	step := (float64(s.Width) - 2*pad) / float64(max(1, len(days)-1))
	var line strings.Builder
	for i, n := range days {
		y := float64(s.Height) - pad
		if high > 0 {
			y -= float64(n) / float64(high) * (float64(s.Height) - 2*pad)
		}
		fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(i, 1)], pad+float64(i)*step, y)
	}
	s.Line = line.String()
	s.Area = fmt.Sprintf("%sL%.1f %dL%.1f %dZ", s.Line, pad+float64(len(days)-1)*step, s.Height, pad, s.Height)
	s.Says = "highest on " + dayText(from.AddDate(0, 0, at)) + ", " + bytesText(high)
	return s
}
