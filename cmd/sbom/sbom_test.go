package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// accepted are the licences that ask for nothing but to be named.
var accepted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PostgreSQL", "Unlicense"}

// built is the program as `make build` builds it.
func built(t *testing.T) *binary {
	t.Helper()
	path := filepath.Join(t.TempDir(), "simusage")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, "simusage/cmd/simusage")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b, err := read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bill has all that Go says is in the binary, under licences that we accept, whose texts are in the other file.
func TestBillOfTheBinary(t *testing.T) {
	t.Parallel()
	b := built(t)
	var out, licences bytes.Buffer
	if err := b.bill(&out, "v1.2.3", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := b.licences(&licences); err != nil {
		t.Fatal(err)
	}
	bill := new(cyclonedx.BOM)
	if err := cyclonedx.NewBOMDecoder(&out, cyclonedx.BOMFileFormatJSON).Decode(bill); err != nil {
		t.Fatal(err)
	}
	if got := bill.Metadata.Component; got.Name != "simusage" || got.Version != "v1.2.3" || got.Hashes == nil {
		t.Errorf("the bill is of %+v", got)
	}
	var got, want []string
	for _, c := range *bill.Components {
		got = append(got, c.Name+"@"+c.Version)
		for name := range strings.SplitSeq((*c.Licenses)[0].Expression, " AND ") {
			if !slices.Contains(accepted, name) {
				t.Errorf("%s is linked, and under %s", c.Name, name)
			}
		}
		if !regexp.MustCompile("\n" + regexp.QuoteMeta(c.Name+" "+c.Version) + ": (UN)?LICENSE").Match(licences.Bytes()) {
			t.Errorf("the licence of %s is not among the texts", c.Name)
		}
	}
	info, err := buildinfo.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range info.Deps {
		want = append(want, m.Path+"@"+m.Version)
	}
	want = append(want, "std@"+info.GoVersion)
	if _, err := os.Stat("../../report/echarts/" + script); err == nil { // make had it before go built
		at := slices.IndexFunc(got, func(c string) bool { return strings.HasPrefix(c, "echarts@") })
		if at < 0 {
			t.Fatal("the bill does not list ECharts, which is in the binary")
		}
		want = append(want, got[at])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the bill lists %v\nwant %v", got, want)
	}
	for _, d := range *bill.Dependencies {
		if d.Ref == "simusage" && !slices.Contains(*d.Dependencies, "github.com/jackc/pgx/v5") {
			t.Errorf("simusage needs %v", *d.Dependencies)
		}
	}

	b.info.Deps[0].Sum = "h1:other"
	if err := b.same(); err == nil || !strings.Contains(err.Error(), "other modules") {
		t.Errorf("%v", err)
	}
}

func TestUnknownLicence(t *testing.T) {
	t.Parallel()
	m := &module{Path: "example.com/ours", Dir: t.TempDir()}
	if names, err := m.licence(); err == nil {
		t.Errorf("without a file it is under %v", names)
	}
	if err := os.WriteFile(filepath.Join(m.Dir, "LICENSE"), []byte("MIT License\n\nYou may look at it. All other rights are reserved, and you pay for looking twice.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if names, err := m.licence(); err == nil {
		t.Errorf("with a licence of its own it is under %v", names)
	}
}

// README has each dependency with its reason and its licence, and says truly whether it is in the binary.
func TestReadmeListsDependencies(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Dependencies\n")
	table, _, _ = strings.Cut(table, "\n## ")
	linked := make(map[string]bool)
	for _, m := range built(t).modules {
		linked[m.Path] = true
	}
	direct := direct(t)
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || cells[0] == " module " || strings.HasPrefix(cells[0], "---") {
			continue
		}
		reason := strings.TrimSpace(cells[1])
		var licences []string
		for name := range strings.SplitSeq(strings.TrimSpace(cells[0]), ", ") {
			path := name
			if !strings.Contains(strings.Split(name, "/")[0], ".") {
				path = "github.com/" + name
			}
			if npm, found := strings.CutSuffix(name, " (npm)"); found {
				licences = append(licences, strings.TrimSpace(cells[2])) // comes with the script, if at all: see the bill
				if only := strings.Contains(reason, " only: "); linked[npm] && only {
					t.Errorf("README.md says that %s is for %q, it is in the binary", name, reason)
				}
				continue
			}
			m := direct[path]
			if m == nil {
				t.Errorf("README.md lists %s, which go.mod does not", name)
				continue
			}
			delete(direct, path)
			if only := strings.Contains(reason, " only: "); reason == "" || only == linked[path] {
				t.Errorf("README.md says that %s is for %q; in the binary: %v", name, reason, linked[path])
			}
			its, err := m.licence()
			if err != nil {
				t.Error(err)
			}
			licences = append(licences, its...)
		}
		slices.Sort(licences)
		licences = slices.Compact(licences)
		if got, want := strings.TrimSpace(cells[2]), strings.Join(licences, ", "); got != want {
			t.Errorf("README.md says that %s are under %q, it is %q", strings.TrimSpace(cells[0]), got, want)
		}
		for _, name := range licences {
			if !slices.Contains(accepted, name) {
				t.Errorf("%s: %s", strings.TrimSpace(cells[0]), name)
			}
		}
	}
	for path := range direct {
		t.Errorf("README.md does not list %s", path)
	}
}

// direct are the modules that go.mod asks for itself.
func direct(t *testing.T) map[string]*module {
	t.Helper()
	var mod struct {
		Require []struct {
			Path, Version string
			Indirect      bool
		}
	}
	if err := json.Unmarshal(run(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	args := []string{"mod", "download", "-json"}
	for _, r := range mod.Require {
		if !r.Indirect {
			args = append(args, r.Path+"@"+r.Version)
		}
	}
	found := make(map[string]*module)
	for list := json.NewDecoder(bytes.NewReader(run(t, args...))); list.More(); {
		m := new(module)
		if err := list.Decode(m); err != nil {
			t.Fatal(err)
		}
		found[m.Path] = m
	}
	return found
}

func run(t *testing.T, args ...string) []byte {
	t.Helper()
	var problem bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = "../..", &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", args[0], err, problem.String())
	}
	return out
}
