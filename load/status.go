package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Status is the state of the warehouse, for people and, as JSON, for machines.
type Status struct {
	Accounts []AccountStatus `json:"accounts"`
	Streams  []StreamStatus  `json:"streams"`
	Failures []Failure       `json:"failures"`
	Held     []HeldSlice     `json:"held"`
	LastRun  *LastRun        `json:"last_run"`
	Rejected int64           `json:"rejected"` // records set aside
	// RejectedByReason is the same number, taken apart.
	RejectedByReason map[string]int64 `json:"rejected_by_reason"`
	Drift            []DriftStatus    `json:"drift"`
}

// AccountStatus is what is known of an account beside its streams.
type AccountStatus struct {
	Account    string     `json:"account"`
	AccountSID *string    `json:"account_sid"`
	NamesAt    *time.Time `json:"names_at"` // when the names were read last
}

// DriftStatus is a field of the API's answers that is new or missing.
type DriftStatus struct {
	Account     string    `json:"account"`
	Resource    string    `json:"resource"`
	Field       string    `json:"field"`
	Kind        string    `json:"kind"`
	FirstSeenAt time.Time `json:"first_seen_at"`
	LastSeenAt  time.Time `json:"last_seen_at"`
}

// StreamStatus is one stream's row of usage.freshness, with its proof.
type StreamStatus struct {
	Account       string     `json:"account"`
	AccountSID    *string    `json:"account_sid"`
	Stream        string     `json:"stream"`
	CompleteUntil *time.Time `json:"complete_until"`
	SettledUntil  *time.Time `json:"settled_until"`
	NewestPeriod  *time.Time `json:"newest_period"`
	Holes         int64      `json:"holes"`
	OldestHole    *time.Time `json:"oldest_hole"`
	DaysUntilWall *int       `json:"days_until_wall"`
	LastSuccessAt *time.Time `json:"last_success_at"`
	Walking       int64      `json:"walking"`      // slices that a process holds now
	Reconciled    int64      `json:"reconciled"`   // slices that agree with the total
	Unreconciled  int64      `json:"unreconciled"` // slices that do not
}

// Failure is a slice that could not be finished.
type Failure struct {
	Account string    `json:"account"`
	Stream  string    `json:"stream"`
	Window  time.Time `json:"window_start"`
	Times   int       `json:"times"`
	At      time.Time `json:"at"`
	Error   string    `json:"error"`
}

// LastRun is the newest run.
type LastRun struct {
	ID         int64      `json:"run"`
	Command    string     `json:"command"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Outcome    string     `json:"outcome"`
	Error      *string    `json:"error"`
}

// Status reads the state of the warehouse. It changes nothing.
func (s *Store) Status(ctx context.Context) (Status, error) {
	var st Status
	rows, err := s.pool.Query(ctx, `SELECT f.account, f.account_sid, f.stream, f.complete_until, f.settled_until, f.newest_period, f.holes, f.oldest_hole,
			f.days_until_wall, f.last_success_at, coalesce(w.n, 0), coalesce(r.yes, 0), coalesce(r.no, 0)
		FROM usage.freshness f
		LEFT JOIN (SELECT account.name AS account, stream.name AS stream, count(*) AS n
			FROM simusage.slice JOIN simusage.stream ON stream.id = slice.stream_id JOIN simusage.account ON account.id = stream.account_id
			WHERE lease_expires_at > clock_timestamp() GROUP BY 1, 2) w USING (account, stream)
		LEFT JOIN (SELECT account, stream, count(*) FILTER (WHERE reconciled) AS yes, count(*) FILTER (WHERE NOT reconciled) AS no
			FROM usage.reconciliation GROUP BY 1, 2) r USING (account, stream)
		ORDER BY f.account, f.stream`)
	if err == nil {
		st.Streams, err = pgx.CollectRows(rows, pgx.RowToStructByPos[StreamStatus])
	}
	if err != nil {
		return st, fmt.Errorf("read the freshness: %w", err)
	}
	rows, err = s.pool.Query(ctx, `SELECT account.name, stream.name, slice.window_start, slice.failures, slice.failed_at, slice.last_error
		FROM simusage.slice JOIN simusage.stream ON stream.id = slice.stream_id JOIN simusage.account ON account.id = stream.account_id
		WHERE slice.failures > 0 ORDER BY slice.failed_at DESC LIMIT 20`)
	if err == nil {
		st.Failures, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Failure])
	}
	if err != nil {
		return st, fmt.Errorf("read the failures: %w", err)
	}
	if st.Held, err = s.heldSlices(ctx); err != nil {
		return st, err
	}
	rows, err = s.pool.Query(ctx, `SELECT run, command, started_at, finished_at, outcome, error FROM usage.runs ORDER BY run DESC LIMIT 1`)
	if err != nil {
		return st, fmt.Errorf("read the last run: %w", err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LastRun])
	if err != nil {
		return st, fmt.Errorf("read the last run: %w", err)
	}
	if len(runs) > 0 {
		st.LastRun = &runs[0]
	}
	err = s.statusOfAnswers(ctx, &st)
	return st, err
}

// statusOfAnswers reads what is known of the accounts and of what they answer.
func (s *Store) statusOfAnswers(ctx context.Context, st *Status) error {
	rows, err := s.pool.Query(ctx, `SELECT name, sid, names_at FROM simusage.account ORDER BY name`)
	if err == nil {
		st.Accounts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AccountStatus])
	}
	if err != nil {
		return fmt.Errorf("read the accounts: %w", err)
	}
	rows, err = s.pool.Query(ctx, `SELECT account, resource, field, kind, first_seen_at, last_seen_at FROM usage.drift ORDER BY 1, 2, 3, 4`)
	if err == nil {
		st.Drift, err = pgx.CollectRows(rows, pgx.RowToStructByPos[DriftStatus])
	}
	if err != nil {
		return fmt.Errorf("read the fields that are new or missing: %w", err)
	}
	rows, err = s.pool.Query(ctx, `SELECT reason, count(*) FROM usage.rejected GROUP BY reason`)
	if err != nil {
		return fmt.Errorf("count the records that are set aside: %w", err)
	}
	st.RejectedByReason = make(map[string]int64)
	var reason string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&reason, &n}, func() error {
		st.RejectedByReason[reason] = n
		st.Rejected += n
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the records that are set aside: %w", err)
	}
	return nil
}
