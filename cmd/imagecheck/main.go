// Command imagecheck builds the container image as the Dockerfile says, looks into it, and lets it migrate and sync.
//
// A program that passes all its tests can still fail in its image: a file that .dockerignore leaves out, a certificate or
// time zone that is not there, a directory that a read-only root does not let it write, a signal that does not reach it.
// Here the image is built for this machine and for another architecture. What is in it is read from its layers, not asked
// of the engine. Then it runs as deploy/base would run it: as nobody, without capabilities, on a read-only root, its
// secrets in files, against a throwaway Postgres and the simulated API over HTTPS. What that comes to is asked of the
// kernel, of the exit codes, and of the views, which must say what the simulated API invented.
//
// The images that the Dockerfile begins with are pulled. Where no registry can be reached, others stand in for them, made
// of what this machine has, and the output says so: what is checked then is ours, not theirs.
//
// It is a program and no test, because it needs docker or podman. `make image-check` installs podman where it can, and fails where
// it cannot. All images and containers that it makes are removed at the end, also on Ctrl-C; images that were pulled, and
// the builder's caches that the Dockerfile names, stay for the next build.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := check(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "imagecheck:", err)
		os.Exit(1)
	}
}

// What the image is built as. Both are invented, so that they cannot come from anywhere but the build's arguments.
const (
	version = "v1.2.3-imagecheck"
	commit  = "0123456789abcdef0123456789abcdef01234567"
)

// check builds, looks and runs, and tells each thing that it finds in a line.
func check(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return errors.New("this asks the kernel about containers and shares its network with them: run it on Linux")
	}
	began := time.Now()
	e, err := findEngine(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	fmt.Printf("%s builds and runs\n", e.name)

	other := map[string]string{"arm64": "amd64"}[runtime.GOARCH]
	if other == "" {
		other = "arm64"
	}
	var found findings
	var img image
	// This machine's comes last: the names of the images that it is built on are then left at this machine's, too.
	for _, arch := range []string{other, runtime.GOARCH} {
		if img, err = e.build(ctx, arch); err != nil {
			return fmt.Errorf("build for linux/%s: %w", arch, err)
		}
		found.tell(img.look(arch))
	}
	if err := work(ctx, e, img, &found); err != nil {
		return err
	}
	fmt.Printf("%d things checked in %.0f s\n", found.all, time.Since(began).Seconds())
	if found.wrong > 0 {
		return fmt.Errorf("%d of them are not as they should be", found.wrong)
	}
	return nil
}

// finding is something that should be so, and what it is instead; nothing when it is so.
type finding struct{ what, instead string }

// findings counts what was told.
type findings struct{ all, wrong int }

func (f *findings) tell(list []finding) {
	for _, x := range list {
		f.all++
		if x.instead == "" {
			fmt.Printf("  ok    %s\n", x.what)
			continue
		}
		f.wrong++
		fmt.Printf("  WRONG %s: %s\n", x.what, x.instead)
	}
}
