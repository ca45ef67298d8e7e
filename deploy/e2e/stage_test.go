package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// stage is what the pods of one test meet: a namespace with secrets, a database, and an API that invents usage, all of it
// of days that are settled and billed.
type stage struct {
	*controlPlane
	t          *testing.T
	namespace  string
	vendor     string
	database   string
	world      *fakeapi.World
	api        *fakeapi.Server
	url        string
	start, end time.Time // of the usage
}

// openStage does what deploy/README.md asks for before anything is applied.
func openStage(t *testing.T, c *controlPlane, vendor string, days int) *stage {
	t.Helper()
	_, name, _ := strings.Cut(t.Name(), "/")
	s := &stage{controlPlane: c, t: t, namespace: strings.ReplaceAll(name, "/", "-"), vendor: vendor}
	s.end = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -4)
	s.start = s.end.AddDate(0, 0, -days)
	s.world = fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 60, Sims: 6, Late: -1, Start: s.start, End: s.end})
	s.api = fakeapi.New(s.world, fakeapi.Options{Profile: vendor})
	server := httptest.NewServer(s.api)
	t.Cleanup(func() {
		server.CloseClientConnections() // also of a pod that a failed test left waiting
		server.Close()
	})
	s.url, s.database = server.URL, postgres.Database(t, pgtest.Template{})

	credentials := []string{"--from-literal=TWILIO_ACCOUNT_SID=" + s.world.AccountSID(), "--from-literal=TWILIO_AUTH_TOKEN=fake-auth-token"}
	if vendor == fakeapi.Kore {
		credentials = []string{"--from-literal=KORE_CLIENT_ID=fake-client", "--from-literal=KORE_CLIENT_SECRET=fake-secret"}
	}
	c.kubectl(t, "create", "namespace", s.namespace, "--save-config")
	s.do("create", "serviceaccount", "default") // as a controller of the namespace would
	s.do("create", "secret", "generic", "simusage-database", "--from-literal=DATABASE_URL="+s.database)
	s.do(append([]string{"create", "secret", "generic", "simusage-api"}, credentials...)...)
	return s
}

// do runs kubectl in the namespace.
func (s *stage) do(args ...string) string {
	s.t.Helper()
	return s.kubectl(s.t, append(args, "--namespace="+s.namespace)...)
}

// apply applies the overlay, with variables in it that say where the simulated API is, and what else is to be changed.
// The clock is all tests', and one of them moves it: the others suspend their CronJob.
func (s *stage) apply(ours string, env map[string]string, changes ...change) {
	s.t.Helper()
	kind, container := "CronJob", cronJobContainer
	if strings.HasSuffix(ours, "-backfill") {
		kind, container = "Job", jobContainer
	}
	all := map[string]string{"SIMUSAGE_BASE_URL": s.url, "SIMUSAGE_SINCE": s.start.Format(time.DateOnly)}
	if s.vendor == fakeapi.Kore {
		all["SIMUSAGE_TOKEN_URL"] = s.url + fakeapi.TokenPath
	}
	for name, value := range env {
		all[name] = value
	}
	for name, value := range all {
		changes = append(changes, change{kind, "add", container + "/env/-", core.EnvVar{Name: name, Value: value}})
	}
	s.kubectl(s.t, "apply", "--kustomize", overlay(s.t, ours, s.namespace, changes...))
	n, err := s.client.CoreV1().Namespaces().Get(s.t.Context(), s.namespace, meta.GetOptions{})
	if err != nil || n.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		s.t.Fatalf("namespace %s takes any pod: %v, %v", s.namespace, n.Labels, err)
	}
}

// finished waits for the end of a Job.
func (s *stage) finished(name string) *batch.Job {
	s.t.Helper()
	return await(s.t, "the end of Job "+name, s.client.BatchV1().Jobs(s.namespace).Watch, func(j *batch.Job) bool {
		return j.Name == name && (has(j, batch.JobComplete) != nil || has(j, batch.JobFailed) != nil)
	})
}

// completed waits for the end of a Job, and wants it to be a good one.
func (s *stage) completed(name string) *batch.Job {
	s.t.Helper()
	job := s.finished(name)
	if failed := has(job, batch.JobFailed); failed != nil {
		s.t.Fatalf("Job %s: %s: %s", name, failed.Reason, failed.Message)
	}
	return job
}

func has(j *batch.Job, condition batch.JobConditionType) *batch.JobCondition {
	for _, c := range j.Status.Conditions {
		if c.Type == condition && c.Status == core.ConditionTrue {
			return &c
		}
	}
	return nil
}

// codes are the exit codes of a Job's pods, in the order in which they ended.
func (s *stage) codes(job string) []int {
	var codes []int
	for _, x := range s.node.ended(s.namespace, job) {
		codes = append(codes, x.code)
	}
	return codes
}

// onUsage are the requests that ask for usage.
var onUsage = fakeapi.OnPath("/v1/UsageRecords")

// onlyOnce says which pages the API has given more than once.
func (s *stage) onlyOnce() {
	s.t.Helper()
	asked := map[string]int{}
	for _, r := range s.api.Requests() {
		if r.Path != "/v1/UsageRecords" || r.Status != http.StatusOK {
			continue
		}
		page := fmt.Sprint(r.Query, " ", r.Page)
		if asked[page]++; asked[page] > 1 {
			s.t.Errorf("given %d times: %s", asked[page], page)
		}
	}
}

// equal holds what readers see against the API's own sums: every SIM, country and hour, bytes and money.
func (s *stage) equal() {
	s.t.Helper()
	for view, dims := range map[string][]string{"total_hourly": nil, "sim_country_hourly": {"sim", "country"}} {
		shown := "''"
		if dims != nil {
			shown = "concat_ws(' ', sim_sid, iso_country)"
		}
		got := s.query(`SELECT concat_ws(' ', to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), ` + shown + `, data_upload, data_download, data_total,
			trim_scale(data_total_billed), coalesce(billed_unit, '')) FROM usage.` + view)
		var want []string
		for _, r := range s.world.Sum(time.Now(), s.start, s.end, "hour", dims...) {
			who := strings.TrimSpace(r.Sim + " " + r.Country)
			want = append(want, fmt.Sprintf("%s %s %d %d %d %s %s", r.Start.Format("2006-01-02 15"), who, r.Upload, r.Download, r.Total, r.Billed, r.Unit))
		}
		slices.Sort(want)
		if !slices.Equal(got, want) || len(want) == 0 {
			s.t.Errorf("%s has %d rows, want %d; the first are\n%s\nwant\n%s", view, len(got), len(want),
				strings.Join(got[:min(3, len(got))], "\n"), strings.Join(want[:min(3, len(want))], "\n"))
		}
	}
}

// query returns the one column of a query, sorted.
func (s *stage) query(sql string) []string {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(s.t.Context()))
	rows, err := conn.Query(s.t.Context(), sql)
	if err != nil {
		s.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}
