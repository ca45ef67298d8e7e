// Package deploy holds the Kubernetes manifests against Kubernetes' own types and against each other. A field that is
// misspelt or put one level too high is silently ignored by a lenient reader, and a deadline that comes before the
// program's own kills every long run half-way; both look fine until the night they matter.
//
// Likewise the dashboard, the alerts and the sources of dbt: each of their queries is asked, as a reader, in a warehouse
// that a sync has filled.
package deploy

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are what an overlay comes to, by kind and name. A field that its type does not have fails the test.
type manifests struct {
	cronJobs  map[string]batch.CronJob
	jobs      map[string]batch.Job
	policies  map[string]network.NetworkPolicy
	namespace string // that all of them are in
	enforce   string // pod security of that namespace; empty where the overlay does not make it
}

// overlays are what people apply.
var overlays = []string{"twilio", "twilio-backfill", "kore", "kore-backfill", "trim"}

func render(t *testing.T, overlay string) manifests {
	t.Helper()
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join("overlays", overlay))
	if err != nil {
		t.Fatalf("%s: %v", overlay, err)
	}
	m := manifests{cronJobs: map[string]batch.CronJob{}, jobs: map[string]batch.Job{}, policies: map[string]network.NetworkPolicy{}}
	for _, r := range all.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if at := cmp.Or(r.GetNamespace(), r.GetName()); m.namespace == "" {
			m.namespace = at
		} else if at != m.namespace {
			t.Errorf("%s: %s %s is in namespace %s", overlay, r.GetKind(), r.GetName(), at)
		}
		switch r.GetKind() {
		case "CronJob":
			m.cronJobs[r.GetName()] = must[batch.CronJob](t, overlay, text)
		case "Job":
			m.jobs[r.GetName()] = must[batch.Job](t, overlay, text)
		case "NetworkPolicy":
			m.policies[r.GetName()] = must[network.NetworkPolicy](t, overlay, text)
		case "Namespace":
			m.enforce = must[core.Namespace](t, overlay, text).Labels["pod-security.kubernetes.io/enforce"]
		default:
			t.Errorf("%s: nobody looks at a %s", overlay, r.GetKind())
		}
	}
	return m
}

func must[T any](t *testing.T, overlay string, text []byte) T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict(text, &object); err != nil {
		t.Fatalf("%s: %v\n%s", overlay, err, text)
	}
	return object
}

// jobs are the jobs of all overlays.
func jobs(t *testing.T) map[string]batch.JobSpec {
	t.Helper()
	all := map[string]batch.JobSpec{}
	for _, overlay := range overlays {
		m := render(t, overlay)
		for name, job := range m.cronJobs {
			all[overlay+"/"+name] = job.Spec.JobTemplate.Spec
		}
		for name, job := range m.jobs {
			all[overlay+"/"+name] = job.Spec
		}
	}
	return all
}

// Every file is in an overlay, every pod's image is the one that the overlay names.
func TestOverlaysHaveEveryManifest(t *testing.T) {
	for _, folder := range []string{"base", "backfill", "trim"} {
		k := struct {
			types.Kustomization `json:",inline"`
		}{}
		text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
		if err == nil {
			err = yaml.UnmarshalStrict(text, &k)
		}
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if name := filepath.Base(file); name != "kustomization.yaml" && !slices.Contains(k.Resources, name) {
				t.Errorf("%s is in no overlay", file)
			}
		}
	}
	found, err := filepath.Glob("overlays/*")
	if err != nil || len(found) != len(overlays) {
		t.Errorf("overlays %v, %v", found, err)
	}
	if n := len(jobs(t)); n != 7 {
		t.Errorf("%d jobs, want 7", n)
	}
	for name, job := range jobs(t) {
		if image := job.Template.Spec.Containers[0].Image; image != "registry.example.com/simusage:latest" {
			t.Errorf("%s: image %q, which the overlay does not name", name, image)
		}
	}
}

// Names, the API and the database: a pod can ask nobody else, and nobody can ask it.
func TestNetworkPolicy(t *testing.T) {
	for _, overlay := range []string{"twilio", "kore"} {
		m := render(t, overlay)
		if m.enforce != "restricted" {
			t.Errorf("%s: pod security %q", overlay, m.enforce)
		}
		p := m.policies["simusage"].Spec
		var ports []string
		for _, rule := range p.Egress {
			for _, port := range rule.Ports {
				ports = append(ports, port.Port.String())
			}
		}
		if !slices.Equal(ports, []string{"53", "53", "443", "5432"}) || len(p.Ingress) > 0 || len(p.PolicyTypes) != 2 {
			t.Errorf("%s: ports %v, %d rules for ingress, types %v", overlay, ports, len(p.Ingress), p.PolicyTypes)
		}
		for name, job := range jobs(t) {
			selector, err := meta.LabelSelectorAsSelector(&p.PodSelector)
			if err != nil || !selector.Matches(labels.Set(job.Template.Labels)) {
				t.Errorf("the policy does not hold for %s: %v", name, err)
			}
		}
	}
}

// A backfill is shared by its pods; none has a part of its own.
func TestBackfillIsShared(t *testing.T) {
	for _, overlay := range []string{"twilio-backfill", "kore-backfill"} {
		job := render(t, overlay).jobs["simusage-backfill"].Spec
		if *job.CompletionMode != batch.IndexedCompletion || *job.Completions != *job.Parallelism || *job.Completions < 2 {
			t.Errorf("%s: %s, %d completions, %d at once", overlay, *job.CompletionMode, *job.Completions, *job.Parallelism)
		}
		for _, env := range job.Template.Spec.Containers[0].Env {
			if strings.Contains(env.Name, "INDEX") {
				t.Errorf("%s: %s", overlay, env.Name)
			}
		}
	}
}

// Once a month, after the month before has settled; and it is another name than the hourly sync's.
func TestTrim(t *testing.T) {
	m := render(t, "trim")
	c, found := m.cronJobs["simusage-trim"]
	if s := c.Spec; !found || len(m.jobs) > 0 || s.Schedule != "37 3 9 * *" || *s.TimeZone != "Etc/UTC" || s.ConcurrencyPolicy != batch.ForbidConcurrent || *s.StartingDeadlineSeconds < 3600 {
		t.Errorf("%+v", m)
	}
}

func TestSchedule(t *testing.T) {
	c := render(t, "twilio").cronJobs["simusage"]
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
	job := jobs(t)["twilio/simusage"]
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
		if len(codes.Values) != 1 {
			t.Errorf("%s: exit codes %v: all but 2 are worth another try", file, codes.Values)
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
			if env.Name == "SIMUSAGE_PROVIDER" {
				continue
			}
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
