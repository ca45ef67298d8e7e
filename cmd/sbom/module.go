package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// binary is a built program and what is in it.
type binary struct {
	path    string
	program []byte
	info    *buildinfo.BuildInfo
	self    *module
	modules []*module // linked with it, by path; the Go library and ECharts are among them
}

// module is a module of which packages are linked, or the Go library.
type module struct {
	Path    string
	Version string
	Sum     string // as in go.sum; the Go library has none
	Dir     string
	Main    bool
	folders []string        // of its packages that are linked, because copied code may have a licence of its own there
	imports map[string]bool // paths of the modules that these packages need
	script  []byte          // of ECharts alone, which is no module of Go's
}

// library stands for Go's own packages, which belong to no module.
const library = "std"

// boring has a licence in its folder, of a C library that is only linked where CGO is.
const boring = "crypto/internal/boring"

// read finds out what is linked into a binary, and where the sources of that are.
func read(ctx context.Context, path string) (*binary, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("read what %q was built from: %w", path, err)
	}
	b := &binary{path: path, program: program, info: info}
	packages, err := b.packages(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range modules(packages, strings.Fields(info.GoVersion)[0]) {
		if m.Main {
			b.self = m
		} else {
			b.modules = append(b.modules, m)
		}
	}
	if err := b.same(); err != nil {
		return nil, err
	}
	charts, err := echarts(program, filepath.Join(b.self.Dir, "report", "echarts"))
	if err != nil {
		return nil, err
	}
	if charts != nil {
		b.modules = append(b.modules, charts)
		b.self.imports[charts.Path] = true
	}
	return b, nil
}

// setting is one that the binary was built with.
func (b *binary) setting(key string) string {
	for _, s := range b.info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// same makes sure that the sources here are those that the binary was built from.
func (b *binary) same() error {
	var built, here []string
	for _, m := range b.info.Deps {
		if m.Replace != nil {
			return fmt.Errorf("%s has %s in place of %s: no build to hand on", b.path, m.Replace.Path, m.Path)
		}
		built = append(built, m.Path+" "+m.Version+" "+m.Sum)
	}
	for _, m := range b.modules {
		if m.Sum != "" {
			here = append(here, m.Path+" "+m.Version+" "+m.Sum)
		}
	}
	slices.Sort(built)
	slices.Sort(here)
	if !slices.Equal(built, here) {
		return fmt.Errorf("%s was built from other modules than are here: build it again", b.path)
	}
	return nil
}

// pkg is what go says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Root       string
	Standard   bool
	Imports    []string
	Module     *module
}

// packages asks go which packages the program has on the binary's platform; a package comes after those that it imports.
func (b *binary) packages(ctx context.Context) ([]pkg, error) {
	var out, problem bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=ImportPath,Dir,Root,Standard,Imports,Module", b.info.Path)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+b.setting("CGO_ENABLED"), "GOOS="+b.setting("GOOS"), "GOARCH="+b.setting("GOARCH"))
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, problem.String())
	}
	var all []pkg
	for listed := json.NewDecoder(&out); ; {
		var p pkg
		switch err := listed.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// modules puts packages into their modules.
func modules(packages []pkg, goVersion string) []*module {
	known := make(map[string]*module)
	owner := make(map[string]*module) // of a package
	for _, p := range packages {
		if p.Standard {
			p.Module = &module{Path: library, Version: goVersion, Dir: p.Root}
		}
		m := known[p.Module.Path]
		if m == nil {
			m = p.Module
			m.imports = make(map[string]bool)
			known[m.Path] = m
		}
		owner[p.ImportPath] = m
		if !strings.HasPrefix(p.ImportPath, boring) {
			m.folders = append(m.folders, p.Dir)
		}
		for _, i := range p.Imports {
			if of := owner[i]; of != nil && of != m {
				m.imports[of.Path] = true
			}
		}
	}
	all := make([]*module, 0, len(known))
	for _, m := range known {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	return all
}
