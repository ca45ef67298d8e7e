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
	Gone                       bool  // the slice went to another process, and is left to it
}

// Publish moves the whole slice from the stage to the facts, redoes the day's rollup, and closes its part of the walk (all
// of it, if it is the leader), in one transaction: a reader sees the slice as it was before or as it is after. settled says
// that the slice was read late enough to be final; from then on a change is a restatement.
//
// The order inside the transaction is: hold the fence (the row stays locked, so that no other process can take the
// slice before the commit), count the stage, compare, write, sum, close. If the commit gets lost on the way, the walk is
// either still open with its stage, and is published by the next run, or it is closed, and nothing is due.
//
// A slice that says much less than before is more likely a fault of the API than usage that never was: an answer with
// much fewer rows or bytes than published (Caution says how much), and an empty one in any case, is held back until a
// later pass says the same, or an operator accepts it. What readers see stays as it was meanwhile.
func (p *Part) Publish(ctx context.Context, settled bool, caution Caution) (Published, error) {
	w := p.walk
	select {
	case w.run = <-w.s.runs:
		defer func() { w.s.runs <- w.run }()
	case <-ctx.Done():
		return Published{}, ctx.Err()
	}
	done, err := p.tryPublish(ctx, settled, caution)
	if noPartition(err) {
		w.s.partitions.forget() // somebody has dropped one since this process saw it
		done, err = p.tryPublish(ctx, settled, caution)
	}
	if err != nil {
		return Published{}, fmt.Errorf("publish %s: %w", p.Name(), err)
	}
	w.s.held.remove(p.ID)
	return done, nil
}

func (p *Part) tryPublish(ctx context.Context, settled bool, caution Caution) (done Published, err error) {
	w := p.walk
	sum := p.digest()
	switch {
	case sum != (digest{}):
		err = w.s.ensurePartitions(ctx, w.Stream.Granularity, p.ask())
	case p.published: // what is there is deleted
		err = w.s.meetPartitions(ctx, w.Stream.Granularity, p.ask())
	}
	if err != nil {
		return done, err
	}
	err = w.s.inTx(ctx, func(tx pgx.Tx) error {
		done = Published{}
		if err := w.hold(ctx, tx); err != nil {
			return err
		}
		if p != w.lead() {
			err := p.hold(ctx, tx)
			if done.Gone = errors.Is(err, ErrFenced); err != nil && !done.Gone {
				return err
			}
		}
		if done.Gone {
			return nil
		}
		return p.publish(ctx, tx, &done, sum, settled, caution)
	})
	return done, err
}

// digest is that of what the walk says of the slice.
func (p *Part) digest() (sum digest) {
	at, of := p.slot()
	for _, l := range p.walk.Lists {
		if at >= 0 {
			sum.plus(l.digests.split(of)[at])
		}
	}
	return sum
}

func (p *Part) publish(ctx context.Context, tx pgx.Tx, done *Published, sum digest, settled bool, caution Caution) error {
	w := p.walk
	for _, l := range w.Lists {
		if !l.Done {
			return fmt.Errorf("%s is not walked to its end", w.list(l))
		}
	}
	slot, _ := p.slot()
	rows, lists, err := w.checkStage(ctx, tx, slot) // as many lists as values, however they are cut
	if err != nil {
		return err
	}
	done.Rows = rows
	if w.Stream.FanOut != "" {
		lists++ // the one that finds the values
	}
	var before []byte
	var remainder bool
	err = tx.QueryRow(ctx, `SELECT digest, remainder IS NOT NULL FROM simusage.slice WHERE id = $1`, p.ID).Scan(&before, &remainder)
	if err != nil {
		return err
	}
	done.Unchanged = p.published && bytes.Equal(before, sum.bytes())
	if !done.Unchanged {
		if _, err := tx.Exec(ctx, planning); err != nil {
			return err
		}
		if p.published {
			if err := p.compare(ctx, tx); err != nil {
				return err
			}
		}
		if done.Held, err = p.shrinks(ctx, tx, sum, caution); done.Held != nil || err != nil {
			return errors.Join(err, p.holdBack(ctx, tx, done.Held, sum))
		}
		if err := p.write(ctx, tx, done); err != nil {
			return err
		}
		if remainder { // some of it may be among the rows by now
			if err := w.s.clearRemainder(ctx, tx, w.Stream.Stream, p.ID); err != nil {
				return err
			}
		}
	}
	after := sum.bytes()
	if done.Duplicates != 0 {
		after = nil // equal sums of records would not mean equal slices: compare row by row the next time
	}
	return p.finish(ctx, tx, settled, after, max(lists, 1), done.Unchanged)
}

// planning makes the joins of a publish hash joins, and does not compile statements that are run once. The newest slice lies
// behind the end of the statistics, so that the planner believes it to be empty and is one guess away from a nested loop over
// all pairs of rows.
const planning = `SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL work_mem = '32MB'`

// compare finds out what differs between the stage and what is published.
func (p *Part) compare(ctx context.Context, tx pgx.Tx) error {
	if err := p.unpack(ctx, tx); err != nil {
		return err
	}
	_, err := execute(ctx, tx, p.walk.sql, "change", p.walk.Stream.ID, p.ask().Start, p.ask().End)
	return err
}

// write brings the facts, the rollup and the sums to what the stage says.
func (p *Part) write(ctx context.Context, tx pgx.Tx, done *Published) error {
	var err error
	if p.published {
		err = p.writeChanges(ctx, tx, done)
	} else {
		err = p.writeFirst(ctx, tx, done)
	}
	if err != nil {
		return err
	}
	return p.count(ctx, tx, done)
}

// writeFirst publishes a slice of which nothing is there yet.
func (p *Part) writeFirst(ctx context.Context, tx pgx.Tx, done *Published) error {
	inserted, units, err := p.copyFirst(ctx, tx)
	if err != nil {
		return err
	}
	done.Inserted = inserted
	stream := p.walk.Stream
	slice := []any{stream.ID, p.Window.Start, p.Window.End}
	if stream.Granularity == extract.Hour {
		if _, err := execute(ctx, tx, p.walk.sql, "rollup", slice...); err != nil {
			return err
		}
		if units != nil {
			codes, counts := units.columns()
			_, err := execute(ctx, tx, p.walk.sql, "sums_first", stream.ID, p.Window.Start, p.ID, codes, counts)
			return err
		}
	}
	_, err = execute(ctx, tx, p.walk.sql, "sums", append(slice, p.ID)...)
	return err
}

// writeChanges publishes what differs from what is there.
func (p *Part) writeChanges(ctx context.Context, tx pgx.Tx, done *Published) error {
	stream := p.walk.Stream
	var err error
	do := func(name string, args ...any) {
		if err == nil {
			_, err = execute(ctx, tx, p.walk.sql, name, args...)
		}
	}
	ask, slice := []any{stream.ID, p.ask().Start, p.ask().End}, []any{stream.ID, p.Window.Start, p.Window.End}
	if p.settled {
		do("restate", p.ID)
	}
	do("delete", ask...)
	do("insert", stream.ID)
	if stream.Granularity == extract.Hour {
		do("rollup_delete", slice[:2]...)
		do("rollup_insert", slice...)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM simusage.slice_sum WHERE slice_id = $1`, p.ID)
	}
	do("sums", append(slice, p.ID)...)
	if err != nil {
		return err
	}
	return tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE NOT was_there), count(*) FILTER (WHERE was_there AND is_there), count(*) FILTER (WHERE NOT is_there) FROM change`,
		pgx.QueryExecModeSimpleProtocol).Scan(&done.Inserted, &done.Updated, &done.Deleted)
}

// count finds out how many records came more than once, and notes the account's currency when this is the first time that
// one is seen.
func (p *Part) count(ctx context.Context, tx pgx.Tx, done *Published) error {
	stream, ask := p.walk.Stream, p.ask()
	var rows int64
	var unit int16
	err := tx.QueryRow(ctx, `SELECT coalesce(sum(row_count), 0)::bigint, coalesce(min(billed_unit_id) FILTER (WHERE billed_unit_id > 0), 0)
		FROM simusage.slice_sum WHERE slice_id = $1`, p.ID).Scan(&rows, &unit)
	if err != nil {
		return err
	}
	if !ask.Start.Equal(p.Window.Start) || rows > done.Rows {
		// The slice has rows that this walk did not ask for, behind the wall or after its end.
		err := tx.QueryRow(ctx, p.walk.sql(`SELECT count(*) FROM {facts} WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3`),
			pgx.QueryExecModeSimpleProtocol, stream.ID, ask.Start, ask.End).Scan(&rows)
		if err != nil {
			return err
		}
	}
	done.Duplicates = done.Rows - rows
	if unit == 0 {
		return nil
	}
	_, err = tx.Exec(ctx, `UPDATE simusage.account SET billed_unit_id = $2 WHERE id = $1 AND billed_unit_id = 0`, stream.Account.ID, unit)
	return err
}

// finish ends the slice's part of the walk: it is published, its lease ends; with the leader stage and checkpoint go. A walk
// that asked for less than is published (its run began earlier, or the wall has moved) leaves the rest as it is, and no
// digest of the whole.
func (p *Part) finish(ctx context.Context, tx pgx.Tx, settled bool, after []byte, lists int, unchanged bool) error {
	w, ask := p.walk, p.ask()
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE simusage.slice SET published_at = now(), checked_at = $2, settled = $3, list_count = $5,
			digest = CASE WHEN covered_from < $6 OR covered_until > $7 THEN NULL ELSE $4::bytea END,
			covered_from = least(covered_from, $6), covered_until = greatest(covered_until, $7),
			row_count = (SELECT coalesce(sum(row_count), 0) FROM simusage.slice_sum WHERE slice_id = $1),
			walk_started_at = NULL, ask_from = NULL, ask_until = NULL, walk_leader = NULL, alone = false, leased_by = NULL, lease_expires_at = NULL,
			failures = 0, failed_at = NULL, last_error = NULL,
			rolled_up_for = CASE WHEN $8 AND rolled_up_for = published_at THEN now() ELSE rolled_up_for END,
			held_at = NULL, held_digest = NULL, held_rows = NULL, held_bytes = NULL, accepted = false, doubted = false
		WHERE id = $1`, p.ID, w.Started, settled, after, lists, ask.Start, ask.End, unchanged)
	p.replaceRejected(batch)
	p.clear(batch)
	return tx.SendBatch(ctx, batch).Close()
}

// clear ends the walk's books with its leader.
func (p *Part) clear(batch *pgx.Batch) {
	if p == p.walk.lead() {
		clearWalk(batch, p.ID)
	}
}

// execute runs one statement of the folder publish, filled in. Its arguments go in as constants, for the planner's sake.
func execute(ctx context.Context, tx pgx.Tx, fill func(string) string, name string, args ...any) (int64, error) {
	text, err := publishSQL.ReadFile("publish/" + name + ".sql")
	if err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, fill(string(text)), append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return tag.RowsAffected(), nil
}
