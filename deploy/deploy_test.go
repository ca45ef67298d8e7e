// Package deploy holds the Kubernetes manifests against Kubernetes' own types and against each other. A field that is
// misspelt or put one level too high is silently ignored by a lenient reader, and a deadline that comes before the
// program's own kills every long run half-way; both look fine until the night they matter.
//
// Likewise the dashboard, the alerts and the sources of dbt: each of their queries is asked, as a reader, in a warehouse
// that a sync has filled.
package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// must decodes a manifest, and takes no field that its type does not have.
func must[T any](t *testing.T, file string) T {
	t.Helper()
	var object T
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &object); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return object
}

// jobs are the two jobs, by the file that they come from.
func jobs(t *testing.T) map[string]batch.JobSpec {
	t.Helper()
	return map[string]batch.JobSpec{
		"cronjob.yaml":     must[batch.CronJob](t, "cronjob.yaml").Spec.JobTemplate.Spec,
		"migrate-job.yaml": must[batch.Job](t, "migrate-job.yaml").Spec,
	}
}

func TestKustomizationHasEveryManifest(t *testing.T) {
	k := must[struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Resources  []string `json:"resources"`
		Labels     []struct {
			Pairs            map[string]string `json:"pairs"`
			IncludeTemplates bool              `json:"includeTemplates"`
		} `json:"labels"`
		Images []struct {
			Name    string `json:"name"`
			NewName string `json:"newName"`
			NewTag  string `json:"newTag"`
		} `json:"images"`
	}](t, "kustomization.yaml")
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return f == "kustomization.yaml" })
	slices.Sort(k.Resources)
	if !slices.Equal(k.Resources, files) {
		t.Errorf("resources %v, want %v", k.Resources, files)
	}
	if len(k.Images) != 1 {
		t.Fatalf("%d images, want 1", len(k.Images))
	}
	for file, job := range jobs(t) {
		if got := job.Template.Spec.Containers[0].Image; got != k.Images[0].Name {
			t.Errorf("%s: image %q, which the kustomization does not replace", file, got)
		}
	}
}

func TestSchedule(t *testing.T) {
	c := must[batch.CronJob](t, "cronjob.yaml")
	if c.APIVersion != "batch/v1" || c.Kind != "CronJob" {
		t.Errorf("%s %s, want batch/v1 CronJob", c.APIVersion, c.Kind)
	}
	s := c.Spec
	if s.Schedule != "7 * * * *" || *s.TimeZone != "Etc/UTC" {
		t.Errorf("schedule %q in %s", s.Schedule, *s.TimeZone)
	}
	if s.ConcurrencyPolicy != batch.ForbidConcurrent {
		t.Errorf("concurrencyPolicy %s", s.ConcurrencyPolicy)
	}
	// Under ten seconds the controller may never find a start in time.
	if *s.StartingDeadlineSeconds < 60 || *s.StartingDeadlineSeconds > 3600 {
		t.Errorf("startingDeadlineSeconds %d", *s.StartingDeadlineSeconds)
	}
	if s.SuccessfulJobsHistoryLimit == nil || s.FailedJobsHistoryLimit == nil || *s.FailedJobsHistoryLimit < 1 {
		t.Error("history limits are missing, or keep no failed job to look at")
	}
}

// The program's own end comes first, then the Job's, then the next hour's start.
func TestDeadlines(t *testing.T) {
	job := jobs(t)["cronjob.yaml"]
	var most time.Duration
	for _, arg := range job.Template.Spec.Containers[0].Args {
		if text, found := strings.CutPrefix(arg, "--max-duration="); found {
			var err error
			if most, err = time.ParseDuration(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	deadline := time.Duration(*job.ActiveDeadlineSeconds) * time.Second
	grace := time.Duration(*job.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	if most == 0 {
		t.Fatal("sync has no --max-duration")
	}
	if deadline < most+time.Minute {
		t.Errorf("activeDeadlineSeconds %s leaves --max-duration=%s no time to end in order", deadline, most)
	}
	if deadline+grace >= time.Hour {
		t.Errorf("activeDeadlineSeconds %s and %s of grace reach into the next hour's start", deadline, grace)
	}
	if grace < 30*time.Second {
		t.Errorf("terminationGracePeriodSeconds %s", grace)
	}
}

func TestFailures(t *testing.T) {
	for file, job := range jobs(t) {
		pod := job.Template.Spec
		if pod.RestartPolicy != core.RestartPolicyNever {
			t.Errorf("%s: restartPolicy %s: podFailurePolicy needs Never", file, pod.RestartPolicy)
		}
		if job.BackoffLimit == nil || job.TTLSecondsAfterFinished == nil || job.ActiveDeadlineSeconds == nil {
			t.Errorf("%s: backoffLimit, ttlSecondsAfterFinished or activeDeadlineSeconds is missing", file)
		}
		rules := job.PodFailurePolicy.Rules
		if len(rules) != 2 {
			t.Fatalf("%s: %d rules of podFailurePolicy, want 2", file, len(rules))
		}
		// The first rule that fits decides, and a run that an eviction stopped ends with 75 as well.
		if rules[0].Action != batch.PodFailurePolicyActionIgnore || rules[0].OnPodConditions[0].Type != core.DisruptionTarget {
			t.Errorf("%s: the first rule does not ignore disruptions", file)
		}
		codes := rules[1].OnExitCodes
		if rules[1].Action != batch.PodFailurePolicyActionFailJob || codes.Operator != batch.PodFailurePolicyOnExitCodesOpIn || !slices.Contains(codes.Values, 2) {
			t.Errorf("%s: exit code 2 does not fail the Job", file)
		}
		if slices.Contains(codes.Values, 1) || slices.Contains(codes.Values, 3) {
			t.Errorf("%s: exit codes 1 and 3 are worth another try", file)
		}
		if *codes.ContainerName != pod.Containers[0].Name {
			t.Errorf("%s: the rule is about container %q, which does not exist", file, *codes.ContainerName)
		}
	}
}

// What the pod security standard "restricted" asks for, and a little more.
func TestRestricted(t *testing.T) {
	for file, job := range jobs(t) {
		pod := job.Template.Spec
		s := pod.SecurityContext
		if !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: the pod may run as root or without seccomp", file)
		}
		if *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks || pod.HostNetwork || pod.HostPID || pod.HostIPC {
			t.Errorf("%s: the pod gets more than it needs", file)
		}
		if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
			t.Fatalf("%s: %d containers, want 1", file, len(pod.Containers))
		}
		c := pod.Containers[0]
		if *c.SecurityContext.AllowPrivilegeEscalation || !*c.SecurityContext.ReadOnlyRootFilesystem ||
			!slices.Equal(c.SecurityContext.Capabilities.Drop, []core.Capability{"ALL"}) || c.SecurityContext.Capabilities.Add != nil {
			t.Errorf("%s: the container may do more than it needs", file)
		}
		for _, resource := range []core.ResourceName{core.ResourceCPU, core.ResourceMemory} {
			request, limit := c.Resources.Requests[resource], c.Resources.Limits[resource]
			if request.IsZero() || limit.Cmp(request) < 0 {
				t.Errorf("%s: %s: request %s, limit %s", file, resource, request.String(), limit.String())
			}
		}
	}
}

// Each secret is a file whose name is the variable's, in a volume that is mounted where the variable says, and readable
// by the user that the container runs as.
func TestSecrets(t *testing.T) {
	for file, job := range jobs(t) {
		pod := job.Template.Spec
		c := pod.Containers[0]
		mounts := map[string]string{}
		for _, m := range c.VolumeMounts {
			mounts[m.MountPath] = m.Name
			if !m.ReadOnly {
				t.Errorf("%s: %s is mounted to be written", file, m.MountPath)
			}
		}
		volumes := map[string]core.Volume{}
		for _, v := range pod.Volumes {
			volumes[v.Name] = v
		}
		for _, env := range c.Env {
			variable, secret := strings.CutSuffix(env.Name, "_FILE")
			if !secret || env.ValueFrom != nil {
				t.Errorf("%s: %s is no file", file, env.Name)
				continue
			}
			if filepath.Base(env.Value) != variable {
				t.Errorf("%s: %s is %s, want a file named %s", file, env.Name, env.Value, variable)
			}
			v, mounted := volumes[mounts[filepath.Dir(env.Value)]]
			if !mounted || v.Secret == nil {
				t.Errorf("%s: no secret is mounted at %s", file, filepath.Dir(env.Value))
				continue
			}
			if *v.Secret.DefaultMode != 0o440 || *pod.SecurityContext.FSGroup != *pod.SecurityContext.RunAsGroup {
				t.Errorf("%s: %s has mode %o, which the container's group must be able to read, and nobody else", file, v.Name, *v.Secret.DefaultMode)
			}
		}
	}
}

// programSource is the text of the program, without its tests.
func programSource(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../cmd/simusage/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("the program's sources: %v %v", files, err)
	}
	var source strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	return source.String()
}

// The program knows the commands and the variables that the manifests use.
func TestNamesAreTheProgramsOwn(t *testing.T) {
	source := programSource(t)
	known := func(expression string) bool { return regexp.MustCompile(expression).MatchString(source) }
	for file, job := range jobs(t) {
		c := job.Template.Spec.Containers[0]
		for _, env := range c.Env {
			expression := `env:"` + env.Name + `[",]`
			if name, secret := strings.CutSuffix(env.Name, "_FILE"); secret {
				expression = `env:"` + name + `[",].* file:"yes"`
			}
			if !known(expression) {
				t.Errorf("%s: the program has no variable %s", file, env.Name)
			}
		}
		if c.Command != nil {
			t.Errorf("%s: the image's entry point is the program; command %v is not needed", file, c.Command)
		}
		for _, arg := range c.Args {
			name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
			if !known(`"` + name + `["\s]`) {
				t.Errorf("%s: the program has no %s", file, arg)
			}
		}
	}
}
