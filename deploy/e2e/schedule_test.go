package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simusage/extract/fakeapi"
)

// Five hours of the CronJob, with the schedule that it has: one before there is a schema, one that takes too long, one
// that waits for it, and one that nobody was there to start.
func testSchedule(t *testing.T, c *controlPlane) {
	s := openStage(t, c, fakeapi.Twilio, 10)
	s.apply("twilio", nil, change{"Job", "add", "/spec/suspend", true}) // the migration comes later
	first := time.Now().UTC().Truncate(time.Hour).Add(time.Hour + 7*time.Minute)

	// Exit code 2 fails the Job at once: the same again would end the same.
	job := s.finished(s.tick(first))
	if failed := has(job, batch.JobFailed); failed == nil || failed.Reason != batch.JobReasonPodFailurePolicy {
		t.Errorf("a sync without a schema: %+v", job.Status)
	}
	if got := s.codes(job.Name); !slices.Equal(got, []int{2}) || job.Status.Failed != 1 {
		t.Errorf("a sync without a schema: exit codes %v, %d failed, want one pod with 2", got, job.Status.Failed)
	}
	if n := len(s.api.Requests()); n > 0 {
		t.Errorf("a sync without a schema has asked the API %d times", n)
	}

	s.do("patch", "job", "simusage-migrate", "--type=merge", `--patch={"spec":{"suspend":false}}`)
	s.completed("simusage-migrate")

	// While one runs, the next hour starts none. When it has ended, the start is made up for.
	held, release := make(chan struct{}), make(chan struct{})
	s.api.Inject(fakeapi.Fault{Match: onUsage, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(held)
		select {
		case <-release:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}})
	second := s.tick(first.Add(time.Hour))
	select {
	case <-held:
	case <-time.After(2 * time.Minute):
		t.Fatal("the second hour's pod has asked for nothing")
	}
	third := s.tick(first.Add(2 * time.Hour))
	await(t, "the controller to hold a start back", c.client.CoreV1().Events(s.namespace).Watch, func(e *core.Event) bool {
		return e.Reason == "JobAlreadyActive" && e.InvolvedObject.Name == "simusage"
	})
	if list, err := c.client.BatchV1().Jobs(s.namespace).List(t.Context(), named(third)); err != nil || len(list.Items) > 0 {
		t.Errorf("two syncs at once: %v, %v", list.Items, err)
	}
	close(release)
	before, after := s.completed(second), s.completed(third)
	if after.CreationTimestamp.Time.Before(before.Status.CompletionTime.Time) {
		t.Errorf("the third hour's Job is of %s, the second's ended at %s", after.CreationTimestamp, before.Status.CompletionTime)
	}
	s.equal()

	// A start that nobody was there for is not made up for when the next hour has come.
	fifth := s.tick(first.Add(4 * time.Hour))
	s.completed(fifth)
	list, err := c.client.BatchV1().Jobs(s.namespace).List(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string]string{}, map[string]string{"simusage-migrate": ""}
	for _, j := range list.Items {
		got[j.Name] = j.Annotations[batch.CronJobScheduledTimestampAnnotation]
	}
	for name, hour := range map[string]time.Duration{job.Name: 0, second: 1, third: 2, fifth: 4} {
		want[name] = first.Add(hour * time.Hour).Format(time.RFC3339)
	}
	if !maps.Equal(got, want) {
		t.Errorf("Jobs %v, want %v", got, want)
	}
}

// tick lets the controller's clock come to a minute, and returns what the Job of that minute is called. It looks at the
// CronJob a second before, because that changes, and from then on has to wake by itself.
func (s *stage) tick(at time.Time) string {
	s.t.Helper()
	s.clock.Set(at.Add(-time.Second))
	s.do("annotate", "cronjob", "simusage", "--overwrite", "looked-at="+at.Format(time.RFC3339))
	s.clock.Set(at)
	return fmt.Sprintf("simusage-%d", at.Unix()/60)
}
