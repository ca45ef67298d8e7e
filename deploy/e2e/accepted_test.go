package e2e

import (
	"strings"
	"testing"
)

// What is applied as it is passes every check of the API server, without a warning; and the checks are there.
func testAccepted(t *testing.T, c *controlPlane) {
	const namespace = "simusage" // of the overlays
	c.kubectl(t, "apply", "--filename", "../base/namespace.yaml")
	c.kubectl(t, "create", "serviceaccount", "default", "--namespace="+namespace)
	for overlay, want := range map[string][]string{
		"twilio":          {"namespace/simusage configured", "job.batch/simusage-migrate created", "cronjob.batch/simusage created", "networkpolicy.networking.k8s.io/simusage created"},
		"kore":            {"namespace/simusage configured", "job.batch/simusage-migrate created", "cronjob.batch/simusage created", "networkpolicy.networking.k8s.io/simusage created"},
		"twilio-backfill": {"job.batch/simusage-backfill created"},
		"kore-backfill":   {"job.batch/simusage-backfill created"},
		"trim":            {"cronjob.batch/simusage-trim created"},
	} {
		said := c.kubectl(t, "apply", "--dry-run=server", "--kustomize", "../overlays/"+overlay)
		for _, line := range want {
			if !strings.Contains(said, line+" (server dry run)\n") {
				t.Errorf("%s: no %q in\n%s", overlay, line, said)
			}
		}
		if n := strings.Count(said, "\n"); n != len(want) {
			t.Errorf("%s: %d objects, want %d:\n%s", overlay, n, len(want), said)
		}
	}

	for what, refused := range map[string]struct {
		change change
		want   string
	}{
		"a pod of root's": {
			change{"CronJob", "replace", "/spec/jobTemplate/spec/template/spec/securityContext/runAsNonRoot", false},
			`Warning: would violate PodSecurity "restricted:latest": runAsNonRoot != true`,
		},
		"a misspelt field": {
			change{"CronJob", "add", "/spec/jobTemplate/spec/backOffLimit", 2},
			`unknown field "spec.jobTemplate.spec.backOffLimit"`,
		},
		"a rule that its own restartPolicy rules out": {
			change{"CronJob", "replace", "/spec/jobTemplate/spec/template/spec/restartPolicy", "OnFailure"},
			"only \"Never\" is supported when podFailurePolicy is specified",
		},
	} {
		_, said, _ := c.tryKubectl(t, "apply", "--dry-run=server", "--kustomize", overlay(t, "twilio", namespace, refused.change))
		if !strings.Contains(said, refused.want) {
			t.Errorf("%s: nothing says %q:\n%s", what, refused.want, said)
		}
	}
	_, said, err := c.tryKubectl(t, "run", "somebody", "--image="+image, "--namespace="+namespace)
	if err == nil || !strings.Contains(said, `violates PodSecurity "restricted:latest"`) {
		t.Errorf("a pod that promises nothing: %v\n%s", err, said)
	}
}
