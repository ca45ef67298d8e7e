package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Sweep ends walks that nobody will go on with: they are older than a walk may be, and nobody holds them. Their stages
// would stay for ever where the slice is never leased again, because it lies beyond the wall by now, or its stream is no
// longer configured. A slice that is due is walked from its beginning, as it would have been. It returns how many it ended.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	swept := 0
	for {
		err := s.inTx(ctx, func(tx pgx.Tx) error {
			w := &Walk{s: s}
			err := tx.QueryRow(ctx, `UPDATE simusage.slice SET fence = fence + 1, walk_started_at = NULL, ask_from = NULL, ask_until = NULL, leased_by = NULL, lease_expires_at = NULL
				WHERE id = (SELECT id FROM simusage.slice WHERE walk_started_at <= $1 AND (leased_by IS NULL OR lease_expires_at <= clock_timestamp())
					ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
				RETURNING id, published_at IS NOT NULL`, now.Add(-maxWalkAge)).Scan(&w.ID, &w.published)
			if err != nil {
				return err
			}
			batch := &pgx.Batch{}
			batch.Queue(`DELETE FROM simusage.list WHERE slice_id = $1`, w.ID)
			batch.Queue(`DROP TABLE IF EXISTS ` + w.stage())
			if w.published {
				batch.Queue(abandonedSQL, w.ID) // of a slice that has nothing else, what was set aside is worth keeping
			}
			return tx.SendBatch(ctx, batch).Close()
		})
		switch {
		case err == pgx.ErrNoRows:
			return swept, nil
		case err != nil:
			return swept, fmt.Errorf("end the walks that were given up: %w", err)
		}
		swept++
	}
}
