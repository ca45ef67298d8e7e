package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	"sigs.k8s.io/yaml"
)

// asKubectl is the variable that makes this test binary kubectl, of the control plane's own version.
const asKubectl = "SIMUSAGE_E2E_KUBECTL"

func beKubectl() {
	util.CheckErr(cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()))
}

// tryKubectl runs kubectl and returns what it says.
func (c *controlPlane) tryKubectl(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kubectl := exec.CommandContext(t.Context(), self, args...)
	kubectl.Env = c.kubectlEnv()
	var out, problem bytes.Buffer
	kubectl.Stdout, kubectl.Stderr = &out, &problem
	err = kubectl.Run()
	return out.String(), problem.String(), err
}

func (c *controlPlane) kubectlEnv() []string {
	return []string{asKubectl + "=1", "KUBECONFIG=" + c.kubeconfig, "HOME=" + filepath.Dir(c.kubeconfig)}
}

// shell runs commands as people do, with kubectl in the PATH; all of them in the namespace.
func (s *stage) shell(commands string) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	script := fmt.Sprintf("kubectl() { %q \"$@\" --namespace=%s; }\nset -e\n%s", self, s.namespace, commands)
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", script)
	cmd.Env = append(s.kubectlEnv(), "PATH="+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", commands, err, out)
	}
}

// kubectl wants a command to do its work, and without a warning.
func (c *controlPlane) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := c.tryKubectl(t, args...)
	if err != nil || stderr != "" {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// change is what an overlay changes in the objects of a kind.
type change struct {
	kind, op, path string
	value          any
}

// Where the container of a Job and of a CronJob is.
const (
	jobContainer     = "/spec/template/spec/containers/0"
	cronJobContainer = "/spec/jobTemplate" + jobContainer
)

// overlay writes an overlay on top of one of ours, and returns its folder.
func overlay(t *testing.T, ours, namespace string, changes ...change) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Abs(filepath.Join("../overlays", ours))
	if err == nil {
		base, err = filepath.EvalSymlinks(base)
	}
	if err == nil {
		base, err = filepath.Rel(dir, base)
	}
	if err != nil {
		t.Fatal(err)
	}
	var patches []any
	for _, c := range changes {
		patch, err := json.Marshal([]any{map[string]any{"op": c.op, "path": c.path, "value": c.value}})
		if err != nil {
			t.Fatal(err)
		}
		patches = append(patches, map[string]any{"target": map[string]any{"kind": c.kind}, "patch": string(patch)})
	}
	text, err := yaml.Marshal(map[string]any{"namespace": namespace, "resources": []string{base}, "patches": patches})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
