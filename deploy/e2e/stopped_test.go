package e2e

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simusage/extract/fakeapi"
)

// A sync is stopped three times, in the middle of a list: its node goes away, and twice somebody deletes its pod. Each
// ends with exit code 75, the next goes on where it was, and the node's going costs none of the two further tries.
func testStopped(t *testing.T, c *controlPlane) {
	const job = "simusage-now"
	s := openStage(t, c, fakeapi.Twilio, 10)
	s.apply("twilio", map[string]string{"SIMUSAGE_PAGE_SIZE": "10", "SIMUSAGE_CONCURRENCY": "1"}, change{"CronJob", "add", "/spec/suspend", true})
	s.completed("simusage-migrate")

	pods := c.client.CoreV1().Pods(s.namespace)
	evict := func(pod string) error {
		return c.client.PolicyV1().Evictions(s.namespace).Evict(t.Context(), &policy.Eviction{ObjectMeta: meta.ObjectMeta{Name: pod, Namespace: s.namespace}})
	}
	remove := func(pod string) error { return pods.Delete(t.Context(), pod, meta.DeleteOptions{}) }
	for _, f := range []struct {
		after int
		end   func(pod string) error
	}{{8, evict}, {21, remove}, {34, remove}} {
		s.api.Inject(fakeapi.Fault{After: f.after, Match: onUsage, Do: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			list, err := pods.List(t.Context(), meta.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job})
			if err != nil {
				t.Errorf("look for the pod: %v", err)
				return
			}
			at := slices.IndexFunc(list.Items, func(p core.Pod) bool { return p.Status.Phase == core.PodRunning })
			if at < 0 {
				t.Errorf("request %d is of no pod", f.after+1)
				return
			}
			if err := f.end(list.Items[at].Name); err != nil {
				t.Errorf("end pod %s: %v", list.Items[at].Name, err)
				return
			}
			<-r.Context().Done() // it waits for this answer when the signal comes
		}})
	}
	s.do("create", "job", job, "--from=cronjob/simusage")
	done := s.completed(job)
	ended := c.node.ended(s.namespace, job)
	if got := s.codes(job); !slices.Equal(got, []int{75, 75, 75, 0}) {
		t.Fatalf("exit codes %v", got)
	}
	if !ended[0].disrupted || ended[1].disrupted || ended[2].disrupted {
		t.Errorf("disrupted are %+v, want the first", ended)
	}
	if done.Status.Failed != 2 || done.Status.Succeeded != 1 {
		t.Errorf("%d pods failed and %d succeeded, want 2 and 1: the one that lost its node does not count", done.Status.Failed, done.Status.Succeeded)
	}
	for i, x := range ended[:3] {
		if !strings.Contains(x.said, "stopped") {
			t.Errorf("pod %d says %q", i+1, x.said)
		}
	}
	s.onlyOnce()
	s.equal()
	testAsk(t, s)
}

// Somebody asks for the status as deploy/README.md says, without a shell in the image.
func testAsk(t *testing.T, s *stage) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, ask, found := strings.Cut(string(readme), "kubectl create job simusage-ask")
	ask, _, ends := strings.Cut(ask, "kubectl logs")
	if !found || !ends {
		t.Fatal("deploy/README.md does not say how to run another command")
	}
	s.shell("kubectl create job simusage-ask" + ask)
	s.completed("simusage-ask")
	if asked := s.node.ended(s.namespace, "simusage-ask"); len(asked) != 1 || asked[0].code != 0 || !strings.HasPrefix(asked[0].said, "names read at: 20") {
		t.Errorf("asked for its status, it says %+v", asked)
	}
	s.do("delete", "job", "simusage-ask")
}
