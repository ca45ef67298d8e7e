package load

import (
	"context"
	"fmt"
	"time"
)

// Run is what a run of the program did, as its row tells it.
type Run struct {
	ID                         int64
	Slices, Unchanged, Failed  int
	LeftDue                    int
	Pages, Rows                int64
	Inserted, Updated, Deleted int64
	Rejected                   int64
	Requests                   int64
	Retries, Throttled         int64
	Statuses                   map[int]int64            // answers of the API by HTTP status
	Waited                     time.Duration            // that requests waited, all together: for a place in flight, for the rate, between attempts
	Phases                     map[string]time.Duration // by what the run was doing
	Outcome                    string
	ExitCode                   int
	Error                      string
}

// RunStart describes a run that begins.
type RunStart struct {
	Command, Arguments, Host, Version string
	PID                               int
}

// StartRun makes the row of a run.
func (s *Store) StartRun(ctx context.Context, r RunStart) (id int64, err error) {
	err = s.pool.QueryRow(ctx, `INSERT INTO simusage.run (command, arguments, host, pid, version) VALUES ($1, $2, $3, $4, $5) RETURNING id`,
		r.Command, r.Arguments, r.Host, r.PID, r.Version).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("note the run: %w", err)
	}
	return id, nil
}

// FinishRun writes what the run did. It takes a moment even when ctx is over: the end of a run is worth noting.
func (s *Store) FinishRun(ctx context.Context, r Run) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := s.pool.Exec(ctx, `UPDATE simusage.run SET seen_at = clock_timestamp(), finished_at = clock_timestamp(), outcome = $2, exit_code = $3, error = nullif(left($4, 2000), ''),
			slices = $5, unchanged = $6, failed = $7, left_due = $8, pages = $9, rows = $10, rows_inserted = $11, rows_updated = $12, rows_deleted = $13,
			rejected = $14, requests = $15, retries = $16, throttled = $17, statuses = $18, waited = $19, phases = $20
		WHERE id = $1`, r.ID, r.Outcome, r.ExitCode, storable(r.Error), r.Slices, r.Unchanged, r.Failed, r.LeftDue, r.Pages, r.Rows, r.Inserted, r.Updated, r.Deleted,
		r.Rejected, r.Requests, r.Retries, r.Throttled, orEmpty(r.Statuses), seconds(r.Waited), secondsOf(r.Phases))
	if err != nil {
		return fmt.Errorf("note the end of the run: %w", err)
	}
	return nil
}

// seconds is a duration as the row of a run keeps it, to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

func secondsOf(phases map[string]time.Duration) map[string]float64 {
	all := make(map[string]float64, len(phases))
	for phase, took := range phases {
		all[phase] = seconds(took)
	}
	return all
}

// orEmpty keeps a map that was never made from being NULL.
func orEmpty(m map[int]int64) map[int]int64 {
	if m == nil {
		return map[int]int64{}
	}
	return m
}
