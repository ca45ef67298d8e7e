package fakeapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

func TestRequestLog(t *testing.T) {
	t.Parallel()
	clock := fakeapi.NewClock(noon())
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{}), fakeapi.Options{Clock: clock.Now, LogLimit: 3})
	next := *mustDecode[usagePage](t, get(t, server, "/v1/UsageRecords?PageSize=5&Granularity=hour")).Meta.Next
	clock.Advance(time.Minute)
	get(t, server, next)
	token, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	want := []fakeapi.Request{
		{Time: noon(), Method: "GET", Path: "/v1/UsageRecords", Query: "Granularity=hour&PageSize=5", Status: 200, InFlight: 1},
		{Time: noon().Add(time.Minute), Method: "GET", Path: "/v1/UsageRecords", Query: "Granularity=hour&PageSize=5", Token: token.Query().Get("PageToken"), Page: 1, Status: 200, InFlight: 1},
	}
	got := server.Requests()
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v", got)
	}
	for range 3 {
		get(t, server, "/v1/UsageRecords?Page=9")
	}
	if got := server.Requests(); len(got) != 3 || got[0].Status != 400 {
		t.Errorf("with a limit of 3: %+v", got)
	}
	if got := server.Statuses(); got[200] != 2 || got[400] != 3 || server.MaxInFlight() != 1 {
		t.Errorf("got %v", got)
	}
	server.Reset()
	if len(server.Requests()) != 0 || len(server.Statuses()) != 0 || server.MaxInFlight() != 0 {
		t.Error("something is left after Reset")
	}
}

// TestSecretsStayOut sends secrets where they do not belong.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 1}), fakeapi.Options{AuthToken: "s3cr/t key"})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/UsageRecords?Sim=s3cr%2Ft+key&PageToken=xs3cr%2Ft%20key", nil)
	r.SetBasicAuth(server.World().AccountSID(), "s3cr/t key")
	server.ServeHTTP(httptest.NewRecorder(), r)
	if server.Leaks() != 1 {
		t.Errorf("%d leaks", server.Leaks())
	}
	if got := server.Requests()[0]; strings.Contains(got.Query+got.Token, "s3cr") || !strings.Contains(got.Query, "[secret]") {
		t.Errorf("got %+v", got)
	}
	r = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/UsageRecords", nil)
	r.SetBasicAuth("me", "s3cr/t key")
	server.ServeHTTP(httptest.NewRecorder(), r)
	if server.Leaks() != 1 {
		t.Error("the Authorization header counts as a leak")
	}
}

// TestConcurrentLimit holds two requests in flight and sends a third.
func TestConcurrentLimit(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 1}), fakeapi.Options{ConcurrentLimit: 2, RetryAfter: "1"})
	arrived, release := make(chan struct{}), make(chan struct{})
	server.Inject(fakeapi.Fault{Times: 2, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		arrived <- struct{}{}
		<-release
		next.ServeHTTP(w, r)
	}})
	var held sync.WaitGroup
	for range 2 {
		held.Go(func() { wantRefusal(t, get(t, server, "/v1/UsageRecords"), 0) })
		<-arrived
	}
	w := get(t, server, "/v1/UsageRecords")
	if f := mustDecode[failure](t, w); w.Code != 429 || *f.Code != 20429 || w.Header().Get("Twilio-Concurrent-Requests") != "3" || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	close(release)
	held.Wait()
	if w := get(t, server, "/v1/UsageRecords"); w.Code != 200 || w.Header().Get("Twilio-Concurrent-Requests") != "1" {
		t.Errorf("afterwards: %d %v", w.Code, w.Header())
	}
	if server.MaxInFlight() != 3 {
		t.Errorf("at most %d in flight", server.MaxInFlight())
	}
}

// TestConcurrentUse changes the world while four clients walk it; the race detector is the judge.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 4})
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now})
	web := httptest.NewServer(server)
	defer web.Close()
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for range 20 {
				for _, path := range []string{"/v1/UsageRecords?Granularity=hour&Group=sim&StartTime=2026-02-20", "/v1/Sims"} {
					if _, err := fetch(t, web.Client(), server, web.URL+path); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range 20 {
		world.Add(fakeapi.Event{Start: noon().Add(-time.Hour), Sim: "HSnew", Upload: 1})
		world.Amend(time.Time{}, func(e *fakeapi.Event) bool { e.Upload++; return e.Start.Hour() == i })
		world.EditSims(func(s *fakeapi.Sim) bool { s.Status = "ready"; return true })
	}
	done.Wait()
}
