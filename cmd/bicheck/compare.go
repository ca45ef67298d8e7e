package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// compare says, in lines, where a client does not see what is there. Each names the view and the column.
func (c client) compare(got seen, want truth) []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for view, comment := range want.views {
		if said, found := got.views[view]; !found {
			say("usage.%s: not in the list of views", view)
		} else if said != comment && !c.noViewComments {
			say("usage.%s: the comment is %q, want %q", view, said, comment)
		}
	}
	odd := make(map[string][]string) // what is odd about a type → the columns
	for _, w := range want.columns {
		name := "usage." + w.view + "." + w.name
		g, found := got.columns[w.view+"."+w.name]
		if !found {
			say("%s: not in the list of columns", name)
			continue
		}
		if g.comment != w.comment && !c.noColumnComments {
			say("%s: the comment is %q, want %q", name, g.comment, w.comment)
		}
		if strings.HasSuffix(w.name, "_sid") {
			w.size = "34" // text without a limit would be a column 8190 wide for ODBC
		}
		if w.size != "" && g.size != w.size {
			say("%s: %s characters wide, want %s", name, g.size, w.size)
		}
		if g.kind != c.types[w.kind] {
			what := fmt.Sprintf("%s is called %s, want %s", w.kind, g.kind, cmp.Or(c.types[w.kind], "a type that was tried"))
			odd[what] = append(odd[what], name)
		}
	}
	for what, names := range odd {
		say("%s: %s (%d columns)", names[0], what, len(names))
	}
	for _, q := range want.questions {
		if said, failed := got.failed[q.name]; failed {
			say("%s: cannot be read: %s", q.name, said)
			continue
		}
		lines = append(lines, q.compare(got.answers[q.name])...)
	}
	for _, q := range want.refused {
		if said := got.refused[q.name]; !strings.Contains(said, "permission denied for") {
			say("%s: not refused for want of a right, but %q", q.sql, said)
		}
	}
	if c.calc {
		lines = append(lines, want.compareCalc(got)...)
	}
	slices.Sort(lines)
	return lines
}

// compare says how many rows differ in which columns, and shows the first difference of each column.
func (q question) compare(got [][]string) []string {
	if len(got) != len(q.rows) {
		return []string{fmt.Sprintf("%s: %d rows, want %d", q.name, len(got), len(q.rows))}
	}
	first, count := make([]string, len(q.columns)), make([]int, len(q.columns))
	for i, row := range q.rows {
		if len(got[i]) != len(row) {
			return []string{fmt.Sprintf("%s: row %d has %d columns, want %d", q.name, i+1, len(got[i]), len(row))}
		}
		for j, value := range row {
			if got[i][j] == value {
				continue
			}
			if count[j]++; count[j] == 1 {
				first[j] = fmt.Sprintf("row %d is %q, want %q", i+1, got[i][j], value)
			}
		}
	}
	var lines []string
	for j, name := range q.columns {
		if count[j] > 0 {
			lines = append(lines, fmt.Sprintf("%s: column %s differs in %d of %d rows; %s", q.name, name, count[j], len(q.rows), first[j]))
		}
	}
	return lines
}
