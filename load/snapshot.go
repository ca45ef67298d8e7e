package load

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Snapshot runs f in a transaction that only reads and that sees one moment, whatever is published meanwhile. It needs no
// right but those of f's own questions: a role that may only read the views is enough.
func (s *Store) Snapshot(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, f)
}
