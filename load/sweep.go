package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Sweep ends walks that nobody will go on with: they are older than a walk may be, and nobody holds them. Their stages
// would stay for ever where the slice is never leased again, because it lies beyond the wall by now, or its stream is no
// longer configured. A slice that is due is walked from its beginning, as it would have been, and what was left of a span is
// free to be walked otherwise, also where another program ended its walk. It returns how many it ended.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	swept := 0
	for {
		err := s.inTx(ctx, func(tx pgx.Tx) error {
			var id int64
			var published bool
			err := tx.QueryRow(ctx, `UPDATE simusage.slice SET fence = fence + 1, walk_started_at = NULL, ask_from = NULL, ask_until = NULL, leased_by = NULL, lease_expires_at = NULL
				WHERE id = (SELECT id FROM simusage.slice WHERE walk_started_at <= $1 AND (leased_by IS NULL OR lease_expires_at <= clock_timestamp())
					ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
				RETURNING id, published_at IS NOT NULL`, now.Add(-maxWalkAge)).Scan(&id, &published)
			if err != nil {
				return err
			}
			batch := &pgx.Batch{}
			clearWalk(batch, id)
			if published {
				batch.Queue(abandonedSQL, id) // of a slice that has nothing else, what was set aside is worth keeping
			}
			return tx.SendBatch(ctx, batch).Close()
		})
		if err == pgx.ErrNoRows {
			_, err = s.pool.Exec(ctx, `UPDATE simusage.slice SET walk_leader = NULL
				WHERE walk_leader IS NOT NULL AND walk_leader NOT IN (SELECT id FROM simusage.slice WHERE walk_started_at IS NOT NULL)`)
			if err == nil {
				return swept, nil
			}
		}
		if err != nil {
			return swept, fmt.Errorf("end the walks that were given up: %w", err)
		}
		swept++
	}
}
