package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// psqlScript has psql print what the other clients print: \d+ for the comments, then the questions.
func psqlScript(t truth) io.Reader {
	var b strings.Builder
	b.WriteString(`\set QUIET on
\pset format csv
\pset tuples_only on
\pset null '\\N'
SELECT 'driver', 'psql ' || :'VERSION_NAME';
`)
	for _, view := range slices.Sorted(maps.Keys(t.views)) {
		fmt.Fprintf(&b, "\\echo 'described,%s'\n\\d+ usage.%s\n\\echo described,\n", view, view)
	}
	b.WriteString("\\echo 'described,views'\n\\dv+ usage.*\n\\echo described,\n")
	for _, q := range t.questions {
		fmt.Fprintf(&b, "SELECT 'answer', '%s', q.* FROM (%s) q;\n\\if :ERROR\nSELECT 'failed', '%[1]s', :'LAST_ERROR_MESSAGE';\n\\endif\n", q.name, q.literal())
	}
	for _, q := range t.refused {
		fmt.Fprintf(&b, "%s;\n\\if :ERROR\nSELECT 'refused', '%s', :'LAST_ERROR_SQLSTATE', :'LAST_ERROR_MESSAGE';\n\\endif\n", q.sql, q.name)
	}
	return strings.NewReader(b.String())
}
