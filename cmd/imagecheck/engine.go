package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// engine is the docker or podman that builds and runs, and what it has made for us.
type engine struct {
	name       string
	dir        string // for files; its name has no other of ours
	containers []string
	images     []string
}

// findEngine takes docker where it answers: the command alone, without its daemon, is of no use.
func findEngine(ctx context.Context) (*engine, error) {
	for _, name := range []string{"docker", "podman"} {
		e := &engine{name: name}
		if _, err := e.do(ctx, nil, "info"); err != nil {
			continue
		}
		var err error
		e.dir, err = os.MkdirTemp("", "simusage-imagecheck-")
		return e, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("neither docker nor podman answers: try docker info, podman info")
}

// command is the engine at work. It is in a group of its own, so that Ctrl-C is for us alone, who then end it in order.
func (e *engine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// do lets the engine do one thing, and returns what it prints.
func (e *engine) do(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := e.command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", e.name, args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

var from = regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)`)

// build builds the image for an architecture and reads it.
func (e *engine) build(ctx context.Context, arch string) (image, error) {
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		return image{}, fmt.Errorf("run this from the root of the repository: %w", err)
	}
	names := from.FindAllStringSubmatch(string(dockerfile), -1)
	if len(names) != 2 {
		return image{}, fmt.Errorf("the Dockerfile has %d stages, want one that builds and one that is the image", len(names))
	}
	file := filepath.Join(e.dir, arch)
	args := []string{"build", "--platform", "linux/" + arch, "--build-arg", "BUILDPLATFORM=linux/" + runtime.GOARCH,
		"--build-arg", "VERSION=" + version, "--build-arg", "COMMIT=" + commit, "--iidfile", file + ".id", "--network", "host"}
	if e.name == "podman" {
		// A chroot builds also where there are no namespaces to be had; without layers, nothing stays but the image.
		args = append(args, "--isolation", "chroot", "--layers=false", "--pull=never")
	}
	for i, base := range []base{{names[0][1], runtime.GOARCH, goTree}, {names[1][1], arch, static}} {
		instead, err := e.provide(ctx, base)
		if err != nil {
			return image{}, fmt.Errorf("stage %d: %w", i+1, err)
		}
		args = append(args, instead...)
	}
	began := time.Now()
	if _, err := e.do(ctx, nil, append(args, ".")...); err != nil {
		return image{}, err
	}
	fmt.Printf("linux/%s: built in %.0f s\n", arch, time.Since(began).Seconds())
	id, err := os.ReadFile(file + ".id")
	if err != nil {
		return image{}, err
	}
	e.images = append(e.images, strings.TrimSpace(string(id)))
	return e.read(ctx, strings.TrimSpace(string(id)), file+".tar")
}

// read reads an image through a file.
func (e *engine) read(ctx context.Context, id, file string) (image, error) {
	args := []string{"save", "--output", file, id}
	if e.name == "podman" {
		args = append(args, "--format", "docker-archive")
	}
	if _, err := e.do(ctx, nil, args...); err != nil {
		return image{}, err
	}
	defer os.Remove(file)
	archive, err := os.Open(file)
	if err != nil {
		return image{}, err
	}
	defer archive.Close()
	return readImage(id, archive)
}

// close removes what was made, by its id, also when the check was stopped.
func (e *engine) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, what := range []struct{ command, ids []string }{{[]string{"rm"}, e.containers}, {[]string{"image", "rm"}, e.images}} {
		for _, id := range what.ids {
			if _, err := e.do(ctx, nil, append(what.command, "--force", id)...); err != nil {
				fmt.Fprintln(os.Stderr, "imagecheck:", err)
			}
		}
	}
	os.RemoveAll(e.dir)
}
