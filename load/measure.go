package load

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Measures are what metrics are told from: the state of the warehouse and the last run of each command, whoever ran it.
type Measures struct {
	Status
	Runs []RunMeasure
}

// RunMeasure is the last run of a command that has ended.
type RunMeasure struct {
	Run
	Command               string
	StartedAt, FinishedAt time.Time
	SucceededAt           *time.Time // when a run of this command last left nothing due
}

// Measures reads them. It changes nothing.
func (s *Store) Measures(ctx context.Context) (m Measures, err error) {
	if m.Status, err = s.Status(ctx); err != nil {
		return m, err
	}
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT ON (run.command) run.command, run.started_at, run.finished_at, success.at, coalesce(run.outcome, ''), coalesce(run.exit_code, 0),
			run.slices, run.unchanged, run.failed, run.left_due, run.pages, run.rows, run.rows_inserted, run.rows_updated, run.rows_deleted, run.rejected,
			run.requests, run.retries, run.throttled, run.waited::float8, run.statuses::text, run.phases::text
		FROM simusage.run
		LEFT JOIN (SELECT command, max(finished_at) AS at FROM simusage.run WHERE outcome = 'done' GROUP BY 1) success ON success.command = run.command
		WHERE run.finished_at IS NOT NULL ORDER BY run.command, run.id DESC`)
	if err == nil {
		m.Runs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RunMeasure, err error) {
			var waited float64
			var statuses, phases string
			err = row.Scan(&r.Command, &r.StartedAt, &r.FinishedAt, &r.SucceededAt, &r.Outcome, &r.ExitCode,
				&r.Slices, &r.Unchanged, &r.Failed, &r.LeftDue, &r.Pages, &r.Rows, &r.Inserted, &r.Updated, &r.Deleted, &r.Rejected,
				&r.Requests, &r.Retries, &r.Throttled, &waited, &statuses, &phases)
			r.Waited = ofSeconds(waited)
			if err == nil {
				err = json.Unmarshal([]byte(statuses), &r.Statuses)
			}
			var took map[string]float64
			if err == nil {
				err = json.Unmarshal([]byte(phases), &took)
			}
			r.Phases = make(map[string]time.Duration, len(took))
			for phase, seconds := range took {
				r.Phases[phase] = ofSeconds(seconds)
			}
			return r, err
		})
	}
	if err != nil {
		return m, fmt.Errorf("read the last runs: %w", err)
	}
	return m, nil
}

func ofSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
