package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A day is rolled up in the transaction that publishes it. A month is not: each of its 30 slices would write all of its
// rows once more, which costs a first load a tenth of its speed, and the publishes of a month would wait for each other.
// It is rolled up once, when a run has published what there was, and readers never see the difference: a month whose rollup
// does not know the last publish of each of its slices is summed from its days (see sql/base/usage_month.sql). So a run
// that ends early, or a program that knows nothing of months, makes the monthly views slower, not wrong.

// RollUp sums the months of the streams anew whose slices were published since they were rolled up last. It returns how
// many months it summed.
func (s *Store) RollUp(ctx context.Context, streams []DueStream) (int, error) {
	ids := make([]int16, len(streams))
	for i, st := range streams {
		ids[i] = st.ID
	}
	type stale struct {
		Stream int16
		Month  time.Time
	}
	rows, err := s.pool.Query(ctx, `SELECT stream_id, month FROM simusage.settled_month WHERE NOT rolled_up AND stream_id = ANY($1) ORDER BY 2, 1`, ids)
	if err != nil {
		return 0, fmt.Errorf("look for months to roll up: %w", err)
	}
	months, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stale])
	if err != nil {
		return 0, fmt.Errorf("look for months to roll up: %w", err)
	}
	for i, m := range months {
		if err := s.rollUpMonth(ctx, m.Stream, m.Month.UTC()); err != nil {
			return i, fmt.Errorf("roll up %s: %w", m.Month.Format("2006-01"), err)
		}
	}
	return len(months), nil
}

// rollUpMonth sums one month of a stream, and of its remainder. The slices are marked before their days are read: one that
// is published meanwhile has either been skipped here, because its row is locked, or gets a publish that the mark is not of.
func (s *Store) rollUpMonth(ctx context.Context, stream int16, month time.Time) error {
	next := month.AddDate(0, 1, 0)
	return s.inTx(ctx, func(tx pgx.Tx) error {
		var mine bool
		err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtext('simusage.month'), hashtext($1))`, fmt.Sprint(stream, month)).Scan(&mine)
		if err != nil || !mine {
			return err // somebody else is at it
		}
		if _, err := tx.Exec(ctx, planning); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE simusage.slice SET rolled_up_for = published_at WHERE id IN (
			SELECT id FROM simusage.slice WHERE stream_id = $1 AND window_start >= $2 AND window_start < $3
				AND rolled_up_for IS DISTINCT FROM published_at FOR UPDATE SKIP LOCKED)`, stream, month, next)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id FROM simusage.stream WHERE id = $1 OR remainder_of = $1`, stream)
		if err != nil {
			return err
		}
		parts, err := pgx.CollectRows(rows, pgx.RowTo[int16])
		if err != nil {
			return err
		}
		w := &Walk{s: s}
		for _, part := range parts {
			for _, name := range []string{"month_delete", "month"} {
				if _, err := w.exec(ctx, tx, name, part, month, next); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
