package load

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

//go:embed publish/*.sql
var publishSQL embed.FS

// Published is what a publish did.
type Published struct {
	Rows                       int64 // staged
	Inserted, Updated, Deleted int64 // fact rows written
	Duplicates                 int64 // records that came more than once
	Unchanged                  bool  // the slice said what it said before; no fact row was written
	Held                       *Held // the slice shrank and is held back; what was published stays
}

// Publish moves the whole slice from the stage to the facts, redoes the day's rollup, and closes the walk, in one
// transaction: a reader sees the slice as it was before or as it is after. settled says that the slice was read late
// enough to be final; from then on a change is a restatement.
//
// The order inside the transaction is: hold the fence (the row stays locked, so that no other process can take the
// slice before the commit), count the stage, compare, write, sum, close. If the commit gets lost on the way, the walk is
// either still open with its stage, and is published by the next run, or it is closed, and nothing is due.
//
// A slice that says much less than before is more likely a fault of the API than usage that never was: an answer with
// much fewer rows or bytes than published (Caution says how much), and an empty one in any case, is held back until a
// later pass says the same, or an operator accepts it. What readers see stays as it was meanwhile.
func (w *Walk) Publish(ctx context.Context, settled bool, caution Caution) (Published, error) {
	var p Published
	var sum digest
	for _, l := range w.Lists {
		p.Rows += l.Rows
		sum.plus(l.digest)
	}
	if p.Rows > 0 {
		if err := w.s.ensurePartitions(ctx, w.Stream.Granularity, w.Ask); err != nil {
			return p, fmt.Errorf("publish %s: %w", w.Name(), err)
		}
	}
	select {
	case w.run = <-w.s.runs:
		defer func() { w.s.runs <- w.run }()
	case <-ctx.Done():
		return p, ctx.Err()
	}
	err := w.s.inTx(ctx, func(tx pgx.Tx) (err error) {
		if err := w.hold(ctx, tx); err != nil {
			return err
		}
		for _, l := range w.Lists {
			if !l.Done {
				return fmt.Errorf("%s is not walked to its end", w.list(l))
			}
		}
		if err := w.checkStage(ctx, tx); err != nil {
			return err
		}
		var before []byte
		var remainder bool
		err = tx.QueryRow(ctx, `SELECT digest, remainder IS NOT NULL FROM simusage.slice WHERE id = $1`, w.ID).Scan(&before, &remainder)
		if err != nil {
			return err
		}
		p.Unchanged = w.published && bytes.Equal(before, sum.bytes())
		if !p.Unchanged {
			if w.published {
				if err := w.unpack(ctx, tx); err != nil {
					return err
				}
			}
			if p.Held, err = w.shrinks(ctx, tx, sum, caution); p.Held != nil || err != nil {
				return errors.Join(err, w.holdBack(ctx, tx, p.Held, sum))
			}
			if err := w.write(ctx, tx, &p); err != nil {
				return err
			}
			if remainder { // some of it may be among the rows by now
				if err := w.s.clearRemainder(ctx, tx, w.Stream.Stream, w.ID); err != nil {
					return err
				}
			}
		}
		after := sum.bytes()
		if p.Duplicates != 0 {
			after = nil // equal sums of records would not mean equal slices: compare row by row the next time
		}
		return w.finish(ctx, tx, settled, after, p.Unchanged)
	})
	if err != nil {
		return Published{}, fmt.Errorf("publish %s: %w", w.Name(), err)
	}
	w.s.held.remove(w.ID)
	return p, nil
}

// planning makes the joins of a publish hash joins, and does not compile statements that are run once. The newest slice lies
// behind the end of the statistics, so that the planner believes it to be empty and is one guess away from a nested loop over
// all pairs of rows.
const planning = `SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL work_mem = '32MB'`

// write brings the facts, the rollup and the sums to what the stage says.
func (w *Walk) write(ctx context.Context, tx pgx.Tx, p *Published) error {
	if _, err := tx.Exec(ctx, planning); err != nil {
		return err
	}
	var err error
	if w.published {
		err = w.writeChanges(ctx, tx, p)
	} else {
		err = w.writeFirst(ctx, tx, p)
	}
	if err != nil {
		return err
	}
	return w.count(ctx, tx, p)
}

// writeFirst publishes a slice of which nothing is there yet.
func (w *Walk) writeFirst(ctx context.Context, tx pgx.Tx, p *Published) (err error) {
	if p.Inserted, err = w.copyFirst(ctx, tx); err != nil {
		return err
	}
	sums := "sums"
	if w.Stream.Granularity == extract.Hour {
		sums = "rollup_first"
	}
	_, err = w.exec(ctx, tx, sums, w.Stream.ID, w.Window.Start, w.Window.End, w.ID)
	return err
}

// writeChanges publishes what differs from what is there.
func (w *Walk) writeChanges(ctx context.Context, tx pgx.Tx, p *Published) error {
	var err error
	do := func(name string, args ...any) {
		if err == nil {
			_, err = w.exec(ctx, tx, name, args...)
		}
	}
	ask, slice := []any{w.Stream.ID, w.Ask.Start, w.Ask.End}, []any{w.Stream.ID, w.Window.Start, w.Window.End}
	do("change", ask...)
	if w.settled {
		do("restate", w.ID)
	}
	do("delete", ask...)
	do("insert", w.Stream.ID)
	if w.Stream.Granularity == extract.Hour {
		do("rollup_delete", slice[:2]...)
		do("rollup_insert", slice...)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM simusage.slice_sum WHERE slice_id = $1`, w.ID)
	}
	do("sums", append(slice, w.ID)...)
	if err != nil {
		return err
	}
	return tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE NOT was_there), count(*) FILTER (WHERE was_there AND is_there), count(*) FILTER (WHERE NOT is_there) FROM change`,
		pgx.QueryExecModeSimpleProtocol).Scan(&p.Inserted, &p.Updated, &p.Deleted)
}

// count finds out how many records came more than once, and notes the account's currency when this is the first time that
// one is seen.
func (w *Walk) count(ctx context.Context, tx pgx.Tx, p *Published) error {
	var rows int64
	var unit int16
	err := tx.QueryRow(ctx, `SELECT coalesce(sum(row_count), 0)::bigint, coalesce(min(billed_unit_id) FILTER (WHERE billed_unit_id > 0), 0)
		FROM simusage.slice_sum WHERE slice_id = $1`, w.ID).Scan(&rows, &unit)
	if err != nil {
		return err
	}
	if !w.Ask.Start.Equal(w.Window.Start) || rows > p.Rows {
		// The slice has rows that this walk did not ask for, behind the wall or after its end.
		err := tx.QueryRow(ctx, w.sql(`SELECT count(*) FROM {facts} WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3`),
			pgx.QueryExecModeSimpleProtocol, w.Stream.ID, w.Ask.Start, w.Ask.End).Scan(&rows)
		if err != nil {
			return err
		}
	}
	p.Duplicates = p.Rows - rows
	if unit == 0 {
		return nil
	}
	_, err = tx.Exec(ctx, `UPDATE simusage.account SET billed_unit_id = $2 WHERE id = $1 AND billed_unit_id = 0`, w.Stream.Account.ID, unit)
	return err
}

// finish ends the walk: the slice is published, its stage and checkpoint go, the lease ends. A walk that asked for less
// than is published (its run began earlier, or the wall has moved) leaves the rest as it is, and no digest of the whole.
func (w *Walk) finish(ctx context.Context, tx pgx.Tx, settled bool, after []byte, unchanged bool) error {
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE simusage.slice SET published_at = now(), checked_at = $2, settled = $3, list_count = $5,
			digest = CASE WHEN covered_from < $6 OR covered_until > $7 THEN NULL ELSE $4::bytea END,
			covered_from = least(covered_from, $6), covered_until = greatest(covered_until, $7),
			row_count = (SELECT coalesce(sum(row_count), 0) FROM simusage.slice_sum WHERE slice_id = $1),
			walk_started_at = NULL, ask_from = NULL, ask_until = NULL, leased_by = NULL, lease_expires_at = NULL,
			failures = 0, failed_at = NULL, last_error = NULL,
			rolled_up_for = CASE WHEN $8 AND rolled_up_for = published_at THEN now() ELSE rolled_up_for END,
			held_at = NULL, held_digest = NULL, held_rows = NULL, held_bytes = NULL, accepted = false, doubted = false
		WHERE id = $1`, w.ID, w.Started, settled, after, len(w.Lists), w.Ask.Start, w.Ask.End, unchanged)
	w.replaceRejected(batch)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	return w.clear(ctx, tx)
}

// clear ends the walk's books: its stage and checkpoint.
func (w *Walk) clear(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM simusage.list WHERE slice_id = $1`, w.ID)
	batch.Queue(`DROP TABLE ` + w.stage())
	return tx.SendBatch(ctx, batch).Close()
}

// exec runs one statement of the folder publish. Its arguments go in as constants, for the planner's sake.
func (w *Walk) exec(ctx context.Context, tx pgx.Tx, name string, args ...any) (int64, error) {
	text, err := publishSQL.ReadFile("publish/" + name + ".sql")
	if err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, w.sql(string(text)), append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return tag.RowsAffected(), nil
}
