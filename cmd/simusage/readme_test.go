package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The README's table of variables is the program's: the same names, the same defaults.
func TestReadmeListsEveryVariable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("^\\| `([A-Z][A-Z_]+)` \\|([^|]*)\\|")
	listed := make(map[string]string)
	inTable := false // of the variables, which begins with DATABASE_URL
	for line := range strings.Lines(string(text)) {
		cells := row.FindStringSubmatch(line)
		if inTable = cells != nil && (inTable || cells[1] == "DATABASE_URL"); inTable {
			listed[cells[1]] = strings.TrimSpace(strings.ReplaceAll(cells[2], "`", ""))
		}
	}
	for _, v := range variables() {
		shown, found := listed[v.Name]
		switch {
		case !found:
			t.Errorf("README.md does not list %s", v.Name)
		case shown != v.Default:
			t.Errorf("README.md says that %s is %q by default, it is %q", v.Name, shown, v.Default)
		}
		delete(listed, v.Name)
	}
	for name := range listed {
		t.Errorf("README.md lists %s, which nothing reads", name)
	}
}
