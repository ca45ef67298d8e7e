// Command sbom says what a built simusage is made of, for whoever must allow it into a house or hands it on.
//
// It writes two files beside the binary: a bill of materials (CycloneDX, JSON) that scanners read, and the texts of the
// licences of all that is in it, which have to go wherever the binary goes. What is linked is read from the binary, and not
// from go.mod, which also has what only tests need. Where the sources are, and under which licence, is asked of go; if these
// sources are not those of the binary, nothing is written.
//
// The tests of this package hold README's list of dependencies against go.mod, and all licences against those we accept.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	version := flag.String("version", "", "the version of the binary, as `make build` named it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := write(ctx, flag.Arg(0), *version); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// write puts the bill of materials and the licences beside the binary.
func write(ctx context.Context, binary, version string) error {
	b, err := read(ctx, binary)
	if err != nil {
		return err
	}
	var bill, licences bytes.Buffer
	if err := b.bill(&bill, version, time.Now()); err != nil {
		return fmt.Errorf("write bill of materials: %w", err)
	}
	if err := b.licences(&licences); err != nil {
		return err
	}
	for name, text := range map[string]*bytes.Buffer{binary + ".cdx.json": &bill, filepath.Join(filepath.Dir(binary), "licences.txt"): &licences} {
		if err := os.WriteFile(name, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%d modules are in %s: see %s.cdx.json and licences.txt beside it\n", len(b.modules), binary, binary)
	return nil
}
