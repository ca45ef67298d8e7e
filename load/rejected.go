package load

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
)

// Rejected is a record that was set aside, with where it came from.
type Rejected struct {
	Account    string    `json:"account"`
	AccountSID *string   `json:"account_sid"`
	Stream     string    `json:"stream"`
	Window     time.Time `json:"window_start"` // of its slice
	ListValue  string    `json:"list_value"`   // of the fan-out that was asked for
	Reason     string    `json:"reason"`
	Raw        string    `json:"raw"` // text, not JSON: it may be cut off
	SeenAt     time.Time `json:"seen_at"`
}

// Rejected reads the records that are set aside and were seen at since or later, oldest first, one at a time: nobody says
// how many there are. It changes nothing. The record is valid until the next one is asked for.
func (s *Store) Rejected(ctx context.Context, since time.Time) iter.Seq2[*Rejected, error] {
	return func(yield func(*Rejected, error) bool) {
		if err := s.eachRejected(ctx, since, func(r *Rejected) bool { return yield(r, nil) }); err != nil {
			yield(nil, fmt.Errorf("read the records that are set aside: %w", err))
		}
	}
}

func (s *Store) eachRejected(ctx context.Context, since time.Time, more func(*Rejected) bool) error {
	rows, err := s.pool.Query(ctx, `SELECT account, account_sid, stream, window_start, list_value, reason, raw, seen_at
		FROM usage.rejected WHERE seen_at >= $1 ORDER BY seen_at, account, stream, window_start, list_value, raw`, since)
	if err != nil {
		return err
	}
	defer rows.Close()
	var r Rejected
	for rows.Next() {
		if err := rows.Scan(&r.Account, &r.AccountSID, &r.Stream, &r.Window, &r.ListValue, &r.Reason, &r.Raw, &r.SeenAt); err != nil {
			return err
		}
		if !more(&r) {
			return nil
		}
	}
	return rows.Err()
}

// replaceRejected lets the records that earlier walks of the slice have set aside go, now that this one is published. If
// it asked for less than is published, what they found in the rest stays, and so all of it: a record without a period
// does not tell which part it is of.
func (p *Part) replaceRejected(batch *pgx.Batch) {
	batch.Queue(`DELETE FROM simusage.rejected WHERE slice_id = $1 AND walk_started_at <> $2
		AND EXISTS (SELECT FROM simusage.slice WHERE id = $1 AND covered_from = $3 AND covered_until = $4)`,
		p.ID, p.walk.Started, p.ask().Start, p.ask().End)
}
