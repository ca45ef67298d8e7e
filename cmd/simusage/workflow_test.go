package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// What the workflow of the public host runs is what anybody can run: targets of the Makefile, with the Go that the image is
// built with. It may read only, takes no action that a moved tag could change, and no job of it hangs for hours.
func TestWorkflow(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var workflow struct {
		Permissions map[string]string
		Jobs        map[string]struct {
			Timeout     int `json:"timeout-minutes"`
			Permissions map[string]string
			Steps       []struct {
				Uses, Run string
				With      map[string]any
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(".github/workflows/ci.yml")), &workflow); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(workflow.Permissions); got != "map[contents:read]" {
		t.Errorf("it may %s", got)
	}
	makefile, dockerfile := read("Makefile"), read("Dockerfile")
	pinned := regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40}$`)
	called := regexp.MustCompile(`(?m)^\s*make (.+)$`)
	ran := make(map[string]bool)
	for name, job := range workflow.Jobs {
		if job.Timeout == 0 || job.Permissions != nil {
			t.Errorf("job %s: timeout after %d minutes, permissions %v of its own", name, job.Timeout, job.Permissions)
		}
		for _, step := range job.Steps {
			if step.Uses != "" && !pinned.MatchString(step.Uses) {
				t.Errorf("job %s uses %s, which is no commit", name, step.Uses)
			}
			if version, found := strings.CutSuffix(fmt.Sprint(step.With["go-version"]), ".x"); found && !strings.Contains(dockerfile, "golang:"+version) {
				t.Errorf("job %s has Go %s, the Dockerfile has another", name, version)
			}
			for _, call := range called.FindAllStringSubmatch(step.Run, -1) {
				for target := range strings.FieldsSeq(call[1]) {
					if ran[target] = true; !strings.Contains(makefile, "\n"+target+":") {
						t.Errorf("job %s makes %s, which the Makefile does not know", name, target)
					}
				}
			}
		}
	}
	for _, target := range []string{"lint", "test", "reproduce", "image", "bi-check", "report-check", "alerts-check", "runbook-check", "e2e-k8s"} {
		if !ran[target] {
			t.Errorf("no job makes %s", target)
		}
	}
}

// What make filters still ends as it ended: a soak that fails must not look like one that went well.
func TestMakeSoakFails(t *testing.T) {
	t.Parallel()
	for text, code := range map[string]int{"ok simusage/pipeline 1s": 0, "FAIL": 1} {
		folder := t.TempDir()
		script := fmt.Sprintf("#!/bin/sh\necho time=now level=INFO\necho %q\nexit %d\n", text, code)
		if err := os.WriteFile(filepath.Join(folder, "go"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "soak", "-o", "postgres")
		cmd.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if (err == nil) != (code == 0) || !strings.Contains(string(out), text) || strings.Contains(string(out), "level=") {
			t.Errorf("%s: %v\n%s", text, err, out)
		}
	}
}
