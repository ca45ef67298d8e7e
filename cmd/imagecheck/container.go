package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// container is one run of the image.
type container struct {
	id             string
	engine         *engine
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// start starts the image as deploy/base does: on a read-only root, without capabilities or a way to get some. mounts are
// files and directories of this machine and where they are seen, to be read only.
func (e *engine) start(ctx context.Context, img image, env []string, mounts map[string]string, args ...string) (*container, error) {
	options := []string{"create", "--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--security-opt", "label=disable", // or SELinux keeps it from reading what is mounted
		"--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", // the engine's own may be above what this machine allows
	}
	if e.name == "podman" {
		options = append(options, "--read-only-tmpfs=false") // there is no place to write to at all, as with docker
	}
	for _, variable := range env {
		options = append(options, "--env", variable)
	}
	for from, to := range mounts {
		options = append(options, "--volume", from+":"+to+":ro")
	}
	id, err := e.do(ctx, nil, append(append(options, img.id), args...)...)
	if err != nil {
		return nil, err
	}
	e.containers = append(e.containers, id)
	c := &container{id: id, engine: e, cmd: e.command(ctx, "start", "--attach", id)}
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	return c, c.cmd.Start()
}

// wait waits for its end, and returns the program's exit code.
func (c *container) wait() (int, error) {
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 && exit.ExitCode() < 125 { // from 125 on they are the engine's own
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("run the container: %w\n%s", err, c.stderr.String())
	}
	return 0, nil
}

// signal sends the program a signal, as the end of a pod does.
func (c *container) signal(ctx context.Context, name string) error {
	_, err := c.engine.do(ctx, nil, "kill", "--signal", name, c.id)
	return err
}

// complaint is the last line that is not the log.
func (c *container) complaint() string {
	last := ""
	for line := range strings.Lines(c.stderr.String()) {
		if !strings.HasPrefix(line, "{") {
			last = strings.TrimSpace(line)
		}
	}
	return last
}
