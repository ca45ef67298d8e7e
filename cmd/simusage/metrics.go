package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"

	"simusage/load"
)

// Metrics are told from the database, where every process notes what it did: a CronJob's pod is gone before anybody could
// scrape it, and the last success must not be forgotten because the process that had it has ended. So it does not matter who
// tells them: schedule when it is scraped, or a run that pushes when it ends.

// measuring bounds how long the database is asked, or a gateway is waited for.
const measuring = 10 * time.Second

var (
	byStream = []string{"account", "stream"}

	up = prometheus.NewDesc("simusage_up", "Whether the warehouse could be read.", nil, nil)

	completeUntil = prometheus.NewDesc("simusage_complete_until_timestamp_seconds", "Before this time every slice that was planned is there; not of an account that has ended and is there as a whole.", byStream, nil)
	settledUntil  = prometheus.NewDesc("simusage_settled_until_timestamp_seconds", "Before this time every slice that was planned is there and final.", byStream, nil)
	holes         = prometheus.NewDesc("simusage_holes", "Slices that were never loaded and can be.", byStream, nil)
	wall          = prometheus.NewDesc("simusage_days_until_wall", "Days until the API forgets the start of the oldest hole; only where there is a hole.", byStream, nil)
	lost          = prometheus.NewDesc("simusage_lost_slices", "Slices that the API forgot before they were loaded.", byStream, nil)
	unreconciled  = prometheus.NewDesc("simusage_unreconciled_slices", "Slices that do not agree with the API's total.", byStream, nil)
	walking       = prometheus.NewDesc("simusage_leased_slices", "Slices that a process is at work on.", byStream, nil)
	heldBack      = prometheus.NewDesc("simusage_held_back_slices", "Slices that shrank and are held back.", nil, nil)
	failing       = prometheus.NewDesc("simusage_failed_slices", "Slices whose last walk failed; 20 at most are counted.", nil, nil)
	setAside      = prometheus.NewDesc("simusage_rejected_records", "Records that could not be understood and are set aside.", nil, nil)
	drifted       = prometheus.NewDesc("simusage_drifted_fields", "Fields of the API's answers that are new or missing.", nil, nil)

	byCommand   = []string{"command"}
	lastSuccess = prometheus.NewDesc("simusage_last_success_timestamp_seconds", "When a run last left nothing due.", byCommand, nil)
	lastRun     = prometheus.NewDesc("simusage_last_run_timestamp_seconds", "When the last run ended.", byCommand, nil)
	lastExit    = prometheus.NewDesc("simusage_last_run_exit_code", "Exit code of the last run.", byCommand, nil)
	took        = prometheus.NewDesc("simusage_last_run_duration_seconds", "How long the last run took.", byCommand, nil)
	phase       = prometheus.NewDesc("simusage_last_run_phase_seconds", "How long each phase of the last run took.", []string{"command", "phase"}, nil)
	ranSlices   = prometheus.NewDesc("simusage_last_run_slices", "Slices of the last run by what became of them.", []string{"command", "outcome"}, nil)
	ranRows     = prometheus.NewDesc("simusage_last_run_rows", "Rows of the last run by what became of them.", []string{"command", "outcome"}, nil)
	requests    = prometheus.NewDesc("simusage_last_run_requests", "Answers of the API to the last run by HTTP status; none: no answer came.", []string{"command", "code"}, nil)
	waited      = prometheus.NewDesc("simusage_last_run_wait_seconds", "How long requests of the last run waited, all together: for a place in flight, for the rate, between attempts.", byCommand, nil)
)

// measures is the warehouse as Prometheus collects it.
type measures struct {
	ctx   context.Context // ends the reading with the program
	store *load.Store
}

// registry has the measures of a warehouse.
func registry(ctx context.Context, store *load.Store) *prometheus.Registry {
	all := prometheus.NewPedanticRegistry()
	all.MustRegister(measures{ctx, store})
	return all
}

func (m measures) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{up, completeUntil, settledUntil, holes, wall, lost, unreconciled, walking, heldBack, failing, setAside, drifted,
		lastSuccess, lastRun, lastExit, took, phase, ranSlices, ranRows, requests, waited} {
		all <- d
	}
}

func (m measures) Collect(all chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(m.ctx, measuring)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	found, err := m.store.Measures(ctx)
	if err != nil {
		gauge(up, 0)
		return
	}
	gauge(up, 1)
	gauge(heldBack, float64(len(found.Held)))
	gauge(failing, float64(len(found.Failures)))
	gauge(setAside, float64(found.Rejected))
	gauge(drifted, float64(len(found.Drift)))
	for _, s := range found.Streams {
		at := func(d *prometheus.Desc, t *time.Time) {
			if t != nil {
				gauge(d, float64(t.Unix()), s.Account, s.Stream)
			}
		}
		if !s.Over() { // it would look staler every day
			at(completeUntil, s.CompleteUntil)
			at(settledUntil, s.SettledUntil)
		}
		gauge(holes, float64(s.Holes), s.Account, s.Stream)
		gauge(lost, float64(s.Lost), s.Account, s.Stream)
		gauge(unreconciled, float64(s.Unreconciled), s.Account, s.Stream)
		gauge(walking, float64(s.Walking), s.Account, s.Stream)
		if s.DaysUntilWall != nil {
			gauge(wall, float64(*s.DaysUntilWall), s.Account, s.Stream)
		}
	}
	for _, r := range found.Runs {
		collectRun(r, gauge)
	}
}

func collectRun(r load.RunMeasure, gauge func(d *prometheus.Desc, value float64, labels ...string)) {
	if r.SucceededAt != nil {
		gauge(lastSuccess, float64(r.SucceededAt.Unix()), r.Command)
	}
	gauge(lastRun, float64(r.FinishedAt.Unix()), r.Command)
	gauge(lastExit, float64(r.ExitCode), r.Command)
	gauge(took, r.FinishedAt.Sub(r.StartedAt).Seconds(), r.Command)
	gauge(waited, r.Waited.Seconds(), r.Command)
	for name, duration := range r.Phases {
		gauge(phase, duration.Seconds(), r.Command, name)
	}
	gauge(ranSlices, float64(r.Slices-r.Unchanged), r.Command, "published")
	gauge(ranSlices, float64(r.Unchanged), r.Command, "unchanged")
	gauge(ranSlices, float64(r.Failed), r.Command, "failed")
	gauge(ranSlices, float64(r.LeftDue), r.Command, "left_due")
	gauge(ranRows, float64(r.Rows), r.Command, "read")
	gauge(ranRows, float64(r.Inserted), r.Command, "inserted")
	gauge(ranRows, float64(r.Updated), r.Command, "updated")
	gauge(ranRows, float64(r.Deleted), r.Command, "deleted")
	gauge(ranRows, float64(r.Rejected), r.Command, "rejected")
	answered := int64(0)
	for status, n := range r.Statuses {
		answered += n
		gauge(requests, float64(n), r.Command, strconv.Itoa(status))
	}
	gauge(requests, float64(max(0, r.Requests-answered)), r.Command, "none")
}

// pushed sends the metrics to the gateway, if there is one. A gateway that is away changes nothing about the run.
func (p *program) pushed(ctx context.Context, store *load.Store, c config) {
	if c.pushURL == "" {
		return
	}
	// Also when a signal has ended the run: that is worth telling.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), measuring)
	defer cancel()
	err := push.New(c.pushURL, "simusage").Client(&http.Client{Timeout: measuring}).Gatherer(registry(ctx, store)).AddContext(ctx)
	if err != nil {
		c.log.Warn("metrics not pushed", "error", line(fmt.Errorf("push to the gateway: %w", err)))
	}
}
