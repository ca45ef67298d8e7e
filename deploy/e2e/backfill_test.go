package e2e

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// The pods of a backfill are all there at once, share the days, and end when nothing is left; for each vendor.
func testBackfill(t *testing.T, c *controlPlane) {
	for _, vendor := range []string{fakeapi.Twilio, fakeapi.Kore} {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			s := openStage(t, c, vendor, 45)
			s.apply(vendor, nil, change{"CronJob", "add", "/spec/suspend", true})
			s.completed("simusage-migrate")

			// Each has one request at once. The first four wait for each other, so they are of four pods.
			var there atomic.Int32
			all := make(chan struct{})
			s.api.Inject(fakeapi.Fault{Times: 4, Match: onUsage, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if there.Add(1) == 4 {
					close(all)
				}
				select {
				case <-all:
					next.ServeHTTP(w, r)
				case <-r.Context().Done():
				}
			}})
			s.apply(vendor+"-backfill", map[string]string{"SIMUSAGE_CONCURRENCY": "1"},
				change{"Job", "replace", jobContainer + "/args", []string{"backfill", "--from=" + s.start.Format(time.DateOnly), "--to=" + s.end.Format(time.DateOnly)}})
			job := s.completed("simusage-backfill")
			if job.Status.Succeeded != 4 || job.Status.Failed != 0 || job.Status.CompletedIndexes != "0-3" {
				t.Errorf("%d succeeded (%s), %d failed, want 4 (0-3) and none", job.Status.Succeeded, job.Status.CompletedIndexes, job.Status.Failed)
			}
			if got := s.codes("simusage-backfill"); !slices.Equal(got, []int{0, 0, 0, 0}) {
				t.Errorf("exit codes %v", got)
			}
			if got := s.query(`SELECT slices::text FROM usage.runs WHERE command = 'backfill' AND slices > 0 AND outcome = 'done'`); len(got) != 4 {
				t.Errorf("slices of each pod: %v, want four that did something", got)
			}
			s.onlyOnce()
			s.equal()
		})
	}
}
