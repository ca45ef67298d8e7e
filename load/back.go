package load

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// MigrateBack takes the database at url back to the schema of an older program, which has version as its newest migration.
// The views go, because only the older program has its own: it installs them when it migrates. Where views of somebody else
// stand on ours, nothing is changed.
func MigrateBack(ctx context.Context, url string, version int) (_ Schema, err error) {
	defer func() { err = forbidden(err) }()
	conn, before, err := turn(ctx, url)
	if err != nil {
		return before, err
	}
	defer over(ctx, conn)
	if version < 1 || version >= before.Version {
		return before, fmt.Errorf("%w: the database is at version %d, it cannot go back to %d", ErrSchema, before.Version, version)
	}
	moved, err := spreadTables(ctx, conn)
	if err != nil {
		return before, err
	}
	if version < oldestDistributed && len(moved) > 0 {
		return before, fmt.Errorf("%w: the facts are distributed by Citus, which programs of version %d do not know; run simusage migrate --undistribute first; nothing was changed", ErrSchema, version)
	}
	files, _, err := viewFiles(false)
	if err != nil {
		return before, err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := dropViews(ctx, tx, files); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM simusage.view_install`)
		return err
	})
	if inTheWay(err) {
		return before, refuseViews(ctx, conn, err)
	}
	if err != nil {
		return before, fmt.Errorf("drop the views: %w", err)
	}
	if err := down(conn.Config(), version); err != nil {
		return before, fmt.Errorf("migrate back: %w", err)
	}
	return readSchema(ctx, conn)
}

// down undoes the migrations after a version, one by one, each in a transaction.
func down(cfg *pgx.ConnConfig, version int) error {
	m, err := migration(cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Migrate(uint(version))
}
