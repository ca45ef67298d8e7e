package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Status is the state of the warehouse, for people and, as JSON, for machines. What each field means stands in its tag, for
// the documentation of the JSON.
type Status struct {
	Accounts         []AccountStatus  `json:"accounts" doc:"each account"`
	Streams          []StreamStatus   `json:"streams" doc:"each stream of each account: its row of usage.freshness, with its proof"`
	Failed           int64            `json:"failed" doc:"slices that could not be finished"`
	Failures         []Failure        `json:"failures" doc:"the newest 20 of these"`
	HeldBack         int64            `json:"held_back" doc:"slices that are held back, because the API says much less than before"`
	Held             []HeldSlice      `json:"held" doc:"the newest 100 of these"`
	LastRun          *LastRun         `json:"last_run" doc:"the newest sync or backfill; null before the first"`
	Rejected         int64            `json:"rejected" doc:"records that were set aside, not understood"`
	RejectedByReason map[string]int64 `json:"rejected_by_reason" doc:"the same number, taken apart: reason, records"`
	Drift            []DriftStatus    `json:"drift" doc:"fields of the API's answers that are new or missing"`
}

// AccountStatus is what is known of an account beside its streams.
type AccountStatus struct {
	Account    string     `json:"account" doc:"name in the configuration; empty when there is just one"`
	AccountSID *string    `json:"account_sid" doc:"SID, AC…; null until it is known"`
	NamesAt    *time.Time `json:"names_at" doc:"when the names of SIMs, fleets and networks were read last; null for never"`
	EndsAt     *time.Time `json:"ends_at" doc:"nothing from this time on is asked for; null for until further notice"`
}

// DriftStatus is a field of the API's answers that is new or missing.
type DriftStatus struct {
	Account     string    `json:"account" doc:"name of the account"`
	Resource    string    `json:"resource" doc:"the list that the answer belongs to"`
	Field       string    `json:"field" doc:"the field"`
	Kind        string    `json:"kind" doc:"new or missing"`
	FirstSeenAt time.Time `json:"first_seen_at" doc:"when it was noticed first"`
	LastSeenAt  time.Time `json:"last_seen_at" doc:"and last"`
}

// StreamStatus is one stream's row of usage.freshness, with its proof.
type StreamStatus struct {
	Account           string     `json:"account" doc:"name of the account"`
	AccountSID        *string    `json:"account_sid" doc:"SID of the account"`
	Stream            string     `json:"stream" doc:"granularity/group[@fan-out][:filter=value]"`
	Read              bool       `json:"read" doc:"whether views read it until further notice; false before it takes over, and after another has"`
	CompleteUntil     *time.Time `json:"complete_until" doc:"before this time every slice is there, but for lost ones"`
	SettledUntil      *time.Time `json:"settled_until" doc:"before this time every slice is there and final, but for lost ones"`
	NewestPeriod      *time.Time `json:"newest_period" doc:"start of the newest hour, day or month that has usage"`
	Holes             int64      `json:"holes" doc:"slices that were never loaded and can be"`
	OldestHole        *time.Time `json:"oldest_hole" doc:"start of the oldest of these"`
	HolesUntil        *time.Time `json:"holes_until" doc:"end of the newest of these"`
	DaysUntilWall     *int       `json:"days_until_wall" doc:"days until the API forgets the start of the oldest hole"`
	Lost              int64      `json:"lost" doc:"slices that the API forgot before they were loaded"`
	LastSuccessAt     *time.Time `json:"last_success_at" doc:"when a slice was loaded last"`
	Walking           int64      `json:"walking" doc:"slices that a process is loading now"`
	Reconciled        int64      `json:"reconciled" doc:"slices that agree with the total"`
	Unreconciled      int64      `json:"unreconciled" doc:"slices that do not"`
	UnreconciledFrom  *time.Time `json:"unreconciled_from" doc:"start of the oldest of these"`
	UnreconciledUntil *time.Time `json:"unreconciled_until" doc:"end of the newest of these"`
	Unattributed      int64      `json:"unattributed" doc:"of these, slices that lack what only the total has; views show that without SIM and country"`
	EndsAt            *time.Time `json:"ends_at" doc:"nothing from this time on is asked for of the account; null for until further notice"`
}

// Over says whether the account has ended and all of the stream is there: nothing more is awaited.
func (s *StreamStatus) Over() bool {
	return s.EndsAt != nil && s.Holes == 0 && s.CompleteUntil != nil && !s.CompleteUntil.Before(*s.EndsAt)
}

// Failure is a slice that could not be finished.
type Failure struct {
	Account string    `json:"account" doc:"name of the account"`
	Stream  string    `json:"stream" doc:"stream"`
	Window  time.Time `json:"window_start" doc:"start of the slice"`
	End     time.Time `json:"window_end" doc:"its end"`
	Times   int       `json:"times" doc:"how often it failed since it last succeeded"`
	At      time.Time `json:"at" doc:"when it failed last"`
	Error   string    `json:"error" doc:"why"`
}

// LastRun is the newest run.
type LastRun struct {
	ID         int64      `json:"run" doc:"its number"`
	Command    string     `json:"command" doc:"sync or backfill"`
	StartedAt  time.Time  `json:"started_at" doc:"when it began"`
	FinishedAt *time.Time `json:"finished_at" doc:"when it ended; null while it runs, and when it was killed"`
	Outcome    string     `json:"outcome" doc:"done, partly, failed, stopped, refused, running or killed"`
	Error      *string    `json:"error" doc:"what went wrong; null for nothing"`
}

// streamsSQL reads the streams in the order of StreamStatus.
const streamsSQL = `SELECT f.account, f.account_sid, f.stream, coalesce(o.read, false), f.complete_until, f.settled_until, f.newest_period,
		f.holes, f.oldest_hole, o.holes_until, f.days_until_wall, f.lost, f.last_success_at, coalesce(o.walking, 0),
		coalesce(r.yes, 0), coalesce(r.no, 0), r.first, r.until, coalesce(r.unattributed, 0), f.ends_at
	FROM usage.freshness f
	LEFT JOIN (SELECT account.name AS account, stream.name AS stream, max(slice.window_end) FILTER (WHERE slice.remembered AND slice.published_at IS NULL) AS holes_until,
			count(*) FILTER (WHERE slice.lease_expires_at > clock_timestamp()) AS walking,
			EXISTS (SELECT FROM simusage.feed WHERE feed.stream_id = stream.id AND valid_to = 'infinity') AS read
		FROM simusage.slice_remembered slice JOIN simusage.stream ON stream.id = slice.stream_id JOIN simusage.account ON account.id = stream.account_id
		GROUP BY account.name, stream.id) o USING (account, stream)
	LEFT JOIN (SELECT account, stream, count(*) FILTER (WHERE reconciled) AS yes, count(*) FILTER (WHERE NOT reconciled) AS no,
			min(window_start) FILTER (WHERE NOT reconciled) AS first, max(window_end) FILTER (WHERE NOT reconciled) AS until,
			count(*) FILTER (WHERE NOT reconciled AND unattributed = -difference) AS unattributed
		FROM usage.reconciliation GROUP BY 1, 2) r USING (account, stream)
	ORDER BY f.account, f.stream`

// failedSQL are the slices that could not be finished. That an account which has ended could not be asked once more for what is
// there is no failure: its credentials end with it.
const failedSQL = `FROM simusage.slice JOIN simusage.stream ON stream.id = slice.stream_id JOIN simusage.account ON account.id = stream.account_id
	WHERE slice.failures > 0 AND coalesce(account.ends_at > now() OR slice.window_start < account.ends_at AND slice.covered_until IS DISTINCT FROM slice.window_end, true)`

// Status reads the state of the warehouse. It changes nothing.
func (s *Store) Status(ctx context.Context) (Status, error) {
	var st Status
	rows, err := s.pool.Query(ctx, streamsSQL)
	if err == nil {
		st.Streams, err = pgx.CollectRows(rows, pgx.RowToStructByPos[StreamStatus])
	}
	if err != nil {
		return st, fmt.Errorf("read the freshness: %w", err)
	}
	rows, err = s.pool.Query(ctx, `SELECT account.name, stream.name, slice.window_start, slice.window_end, slice.failures, slice.failed_at, slice.last_error
		`+failedSQL+` ORDER BY slice.failed_at DESC LIMIT 20`)
	if err == nil {
		st.Failures, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Failure])
	}
	if err != nil {
		return st, fmt.Errorf("read the failures: %w", err)
	}
	err = s.pool.QueryRow(ctx, `SELECT (SELECT count(*) `+failedSQL+`), (SELECT count(*) FROM simusage.slice WHERE held_at IS NOT NULL)`).
		Scan(&st.Failed, &st.HeldBack)
	if err != nil {
		return st, fmt.Errorf("count the failures: %w", err)
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
	rows, err := s.pool.Query(ctx, `SELECT name, sid, names_at, ends_at FROM simusage.account ORDER BY name`)
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
