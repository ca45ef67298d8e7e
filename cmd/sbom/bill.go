package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// bill writes the bill of materials: the binary with the checksum of its bytes, what is linked into it, and what needs what.
func (b *binary) bill(w io.Writer, version string, now time.Time) error {
	self := cyclonedx.Component{
		BOMRef:  b.self.Path,
		Type:    cyclonedx.ComponentTypeApplication,
		Name:    b.self.Path,
		Version: version,
		Hashes:  checksum(sha256.Sum256(b.program)),
		Properties: &[]cyclonedx.Property{
			{Name: "go:version", Value: b.info.GoVersion},
			{Name: "go:os", Value: b.setting("GOOS")},
			{Name: "go:arch", Value: b.setting("GOARCH")},
		},
	}
	bill := cyclonedx.NewBOM()
	bill.Metadata = &cyclonedx.Metadata{
		Timestamp:  now.UTC().Format(time.RFC3339),
		Lifecycles: &[]cyclonedx.Lifecycle{{Phase: cyclonedx.LifecyclePhasePostBuild}},
		Component:  &self,
	}
	var components []cyclonedx.Component
	needs := []cyclonedx.Dependency{b.self.needs()}
	for _, m := range b.modules {
		c, err := m.component()
		if err != nil {
			return err
		}
		components = append(components, c)
		needs = append(needs, m.needs())
	}
	bill.Components, bill.Dependencies = &components, &needs
	return cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bill, cyclonedx.SpecVersion1_6)
}

// component is a module as the bill has it.
func (m *module) component() (cyclonedx.Component, error) {
	c := cyclonedx.Component{
		BOMRef:     m.Path,
		Type:       cyclonedx.ComponentTypeLibrary,
		Name:       m.Path,
		Version:    m.Version,
		Scope:      cyclonedx.ScopeRequired,
		PackageURL: "pkg:golang/" + m.Path + "@" + m.Version,
	}
	names, err := m.licence()
	if err != nil {
		return c, err
	}
	c.Licenses = &cyclonedx.Licenses{{Expression: strings.Join(names, " AND ")}}
	switch {
	case m.Path == library:
		c.PackageURL = "pkg:golang/" + library + "@" + strings.TrimPrefix(m.Version, "go") // as vulnerability databases have it
		return c, nil
	case m.script != nil:
		c.PackageURL = "pkg:npm/" + m.Path + "@" + m.Version
		c.Hashes = checksum(sha256.Sum256(m.script))
		return c, nil
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
	if err != nil || len(sum) != sha256.Size {
		return c, fmt.Errorf("read checksum of %s: %q is no sum of go.sum", m.Path, m.Sum)
	}
	// That of the list of its files, by which go knows it again; what reads such bills of Go programs expects it here.
	c.Hashes = checksum([sha256.Size]byte(sum))
	return c, nil
}

func (m *module) needs() cyclonedx.Dependency {
	paths := slices.Sorted(maps.Keys(m.imports))
	return cyclonedx.Dependency{Ref: m.Path, Dependencies: &paths}
}

func checksum(sum [sha256.Size]byte) *[]cyclonedx.Hash {
	return &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
}
