package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/fieldpath"
)

// image is the one that the overlays name; the program of this repository is what it has.
const image = "registry.example.com/simusage:latest"

// container is a pod's only one: a process with the arguments and variables of the manifest and no others, as the user
// that it names, where this machine lets us. Paths of what is mounted are those of this machine.
type container struct {
	program   string
	args, env []string
	user      *syscall.Credential
	grace     time.Duration
}

func (k *kubelet) create(ctx context.Context, pod *core.Pod) (*container, error) {
	spec := pod.Spec
	c := spec.Containers[0]
	if len(spec.Containers) != 1 || c.Image != image || c.Command != nil {
		return nil, fmt.Errorf("%d containers, image %s, command %v: this node only has the program", len(spec.Containers), c.Image, c.Command)
	}
	made := &container{program: k.program, grace: time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second}
	if os.Geteuid() == 0 {
		s := spec.SecurityContext
		made.user = &syscall.Credential{Uid: uint32(*s.RunAsUser), Gid: uint32(*s.RunAsGroup), Groups: []uint32{uint32(*s.FSGroup)}}
	}
	var paths []string
	for _, m := range c.VolumeMounts {
		dir, err := k.mount(ctx, pod, m.Name)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Name, err)
		}
		paths = append(paths, m.MountPath, dir)
	}
	here := strings.NewReplacer(paths...)
	for _, arg := range c.Args {
		made.args = append(made.args, here.Replace(arg))
	}
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			var err error
			if value, err = fieldpath.ExtractFieldPathAsString(pod, e.ValueFrom.FieldRef.FieldPath); err != nil {
				return nil, fmt.Errorf("variable %s: %w", e.Name, err)
			}
		}
		made.env = append(made.env, e.Name+"="+here.Replace(value))
	}
	return made, nil
}

// mount writes the files of a secret, for the group that the pod shares files with, and nobody else.
func (k *kubelet) mount(ctx context.Context, pod *core.Pod, volume string) (string, error) {
	var source *core.SecretVolumeSource
	for _, v := range pod.Spec.Volumes {
		if v.Name == volume {
			source = v.Secret
		}
	}
	if source == nil {
		return "", fmt.Errorf("this node only has secrets")
	}
	secret, err := k.client.CoreV1().Secrets(pod.Namespace).Get(ctx, source.SecretName, meta.GetOptions{})
	if err != nil {
		return "", err
	}
	dir := filepath.Join(k.dir, string(pod.UID), volume)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, content := range secret.Data {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, os.FileMode(*source.DefaultMode)); err != nil {
			return "", err
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(path, 0, int(*pod.Spec.SecurityContext.FSGroup)); err != nil {
				return "", err
			}
		}
	}
	return dir, nil
}

// run runs it until it ends, or until alive does and its grace period with it. It returns the exit code, as the kubelet
// counts, and the last line that is not the log.
func (c *container) run(alive context.Context) (code int, said string, err error) {
	cmd := exec.CommandContext(alive, c.program, c.args...)
	cmd.Env, cmd.Dir = c.env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = c.grace
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if cmd.ProcessState == nil {
		return 0, "", err
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "{") {
			said = strings.TrimSpace(line)
		}
	}
	code = cmd.ProcessState.ExitCode()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return code, said, nil
}
