package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// legal is how files are called that must go with a copy: licences, notices that Apache-2.0 wants kept, grants of patents.
var legal = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|patents)([-.].*)?$`)

// grants is how those of them are called that say under which licence the code is.
var grants = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)`)

// enough is the part of a licence file, in percent, that must be a licence's known words; the rest are names of owners.
const enough = 75

// texts are the legal files of a module: in its folder, and in those of its linked packages and above them.
func (m *module) texts() ([]string, error) {
	folders := map[string]bool{m.Dir: true}
	for _, folder := range m.folders {
		for ; len(folder) > len(m.Dir); folder = filepath.Dir(folder) {
			folders[folder] = true
		}
	}
	var found []string
	for folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			// A file of Go's may be named license.go.
			if e.Type().IsRegular() && legal.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
				found = append(found, filepath.Join(folder, e.Name()))
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// licence is under which licences a module is, by their SPDX names. It is an error if a file's is not known for sure.
func (m *module) licence() ([]string, error) {
	texts, err := m.texts()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range texts {
		if !grants.MatchString(filepath.Base(path)) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		seen := licensecheck.Scan(text)
		if seen.Percent < enough {
			return nil, fmt.Errorf("recognise licence of %s: only %.0f %% of %s are known words", m.Path, seen.Percent, path)
		}
		for _, match := range seen.Match {
			names = append(names, match.ID)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("recognise licence of %s: no such file in %s", m.Path, m.Dir)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// licences writes the legal texts of all that is linked; one that several modules share stands there once.
func (b *binary) licences(w io.Writer) error {
	var order []string
	holders := make(map[string][]string) // text → files that say it
	for _, m := range b.modules {
		texts, err := m.texts()
		if err != nil {
			return err
		}
		for _, path := range texts {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(m.Dir, path)
			if err != nil {
				return err
			}
			text := string(bytes.TrimSpace(content))
			if holders[text] == nil {
				order = append(order, text)
			}
			holders[text] = append(holders[text], m.Path+" "+m.Version+": "+filepath.ToSlash(name))
		}
	}
	line := strings.Repeat("=", 80)
	for _, text := range order {
		if _, err := fmt.Fprintf(w, "%s\n%s\n%s\n\n%s\n\n", line, strings.Join(holders[text], "\n"), line, text); err != nil {
			return err
		}
	}
	return nil
}
