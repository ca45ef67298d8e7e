package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// compareCalc holds the cells that Calc has imported, and its pivot table of them, against what they should be. A cell
// is a float: it counts bytes up to 2^53, and a saved document keeps 15 digits. Up to there Calc has to be exact.
func (t truth) compareCalc(got seen) []string {
	if len(got.cells) == 0 || len(got.pivot) == 0 {
		return []string{"Calc: it has imported nothing"}
	}
	kinds := make(map[string]string)
	for _, c := range t.columns {
		if "usage."+c.view == pivoted {
			kinds[c.name] = c.kind
		}
	}
	if !slices.Equal(got.cells[0], t.imported.columns) {
		return []string{fmt.Sprintf("Calc: the columns of %s are %q, want %q", pivoted, got.cells[0], t.imported.columns)}
	}
	want := question{name: "Calc, " + pivoted, columns: t.imported.columns}
	for _, row := range t.imported.rows {
		cells := make([]string, len(row))
		for i, value := range row {
			cells[i] = cell(kinds[want.columns[i]], value)
		}
		want.rows = append(want.rows, cells)
	}
	slices.SortFunc(want.rows, slices.Compare)
	cells := slices.SortedFunc(slices.Values(got.cells[1:]), slices.Compare)
	return append(want.compare(cells), t.comparePivot(got.pivot)...)
}

// cell is what a value is in a cell: numbers, days and booleans are floats, all else is text.
func cell(kind, value string) string {
	switch {
	case value == null:
		return ""
	case kind == "boolean":
		return map[string]string{"t": "1", "f": "0"}[value]
	case kind == "date":
		return serial(value)
	case kind == "bigint" || kind == "numeric":
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return value
		}
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return strings.ReplaceAll(value, "\t", "\x01") // a field of its own in a cell
}

// serial is a day as the number of days since the first one that Calc knows.
func serial(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return strconv.Itoa(int(t.Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours()) / 24)
}

// comparePivot holds the table of countries and months against the world's own sums.
func (t truth) comparePivot(table [][]string) []string {
	head := slices.IndexFunc(table, func(row []string) bool { return row[0] == "iso_country" })
	if head < 0 {
		return []string{fmt.Sprintf("Calc: no pivot table of countries: %q", table)}
	}
	cells := make(map[string]string)
	for _, row := range table[head+1:] {
		for i, month := range table[head][1:] {
			cells[month+" "+row[0]] = row[i+1]
		}
	}
	var lines []string
	months := t.questions[slices.IndexFunc(t.questions, func(q question) bool { return q.name == byMonth })]
	for _, row := range months.rows {
		want, err := strconv.ParseFloat(row[2], 64)
		shown := cells[serial(row[0])+" "+row[1]]
		got, failed := strconv.ParseFloat(shown, 64)
		off := 0.0
		if want > 1<<53 {
			off = want * 1e-14
		}
		if err != nil || failed != nil || math.Abs(got-want) > off {
			lines = append(lines, fmt.Sprintf("Calc: the pivot table has %q for %s in %s, want %s", shown, row[1], row[0], row[2]))
		}
	}
	return lines
}
