package load

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// A slice is a day, and a day of a small fleet is a few rows: asked for one by one, 18 months of totals are 540 requests of
// 24 rows, where a page holds a thousand. So a walk covers a span where it can: neighbouring due slices of one stream,
// asked for by one question. The slice stays the unit of lease, publish, proof, digest, hold-back and restatement; what a
// span shares is the walk alone, that is its lists, their cursors and the stage, which are filed under one of its slices,
// the leader. A walk of one slice is a span of one part.
//
// The rules, and what each prevents:
//
//   - Every part is leased and has a fence of its own, so that no two processes publish a slice at once. A part that went
//     to another process (its lease had run out) is left to it, and the others are published.
//   - The parts are published one after the other, each in a transaction that also holds the leader, and the leader last;
//     with it go lists and stage. Without that hold, somebody who took the leader over could restart a list while we read
//     the stage, and rows of one reading would be stored with the digest of another: the next reading would look unchanged
//     and the facts stay wrong for ever.
//   - A crash leaves the leader with an open walk, and slice.walk_leader in the parts that are not published yet. Whoever
//     leases the leader takes what is left of them and goes on. The link only says where to go on, fences decide: a part
//     that somebody has begun to walk, or has read since the span began, is not taken.
//   - What is set aside stays until its slice is read again, and a record that cannot be understood does not tell its day.
//     A span that meets one is given up (Disband), and its slices are walked one by one. So is a span that fails otherwise:
//     the API may refuse the question or take too long over it, and one poisoned day must not keep thirty others from being
//     loaded. Only a slice alone fails, or what has nothing to do with slices: credentials, the account, the database.
//   - A span is chosen by how many rows its slices are expected to have (spanRows). Where that was far too few, because the
//     fleet grew or its usage came late, the span is given up too, before its walk gets older than a walk may.
//
// Beside a program that knows no spans (a rollout): it leases a part as a slice like any other, which fences the span out of
// it; the link that it leaves is not followed, because of the rule above, and Sweep removes it. If it leases a leader, it
// must not go on with the walk, whose stage holds other days too and would be published as one: so the stage of a span has a
// name of its own. Such a program finds none under the one that it knows, notes a failure of the slice, and leaves the walk
// to those who know better; once that is too old to be gone on with, it begins anew with its one day.

const (
	// spanRows is how many rows a span may be expected to have. Beyond it there is little to gain: with a page or more for each
	// slice, one list of many costs as many requests as many lists of one. And there is something to lose: workers share
	// walks, and the last ones of few large walks are waited for. Measured with pages of 150 ms: 50,000 makes a backfill of
	// 60 days by two processes a quarter slower than this does, and saves 3 % of the requests.
	spanRows = 10_000
	// mostSpanRows is how many rows a span may turn out to have.
	mostSpanRows = 4 * spanRows
)

// ErrAlone says that the slices of a span must be walked one by one.
var ErrAlone = errors.New("it must be walked slice by slice")

// neighbour is a slice, as far as it matters for which others it is walked with.
type neighbour struct {
	window extract.Window
	rows   int64 // that it is expected to have
	alone  bool  // may not be walked with others
}

// together says which slices are walked together with one of them: all[from:until]. They follow on each other without a gap,
// and stay within what the API takes in one question and what a span is good for. The slices are in order of time.
func together(st extract.Stream, all []neighbour, lead int) (from, until int) {
	from, until = lead, lead+1
	if all[lead].alone {
		return from, until
	}
	rows := all[lead].rows
	joins := func(n neighbour, first, last extract.Window) bool {
		if n.alone || rows+n.rows > spanRows || last.End.Sub(first.Start) > st.Longest() {
			return false
		}
		rows += n.rows
		return true
	}
	for from > 0 && all[from-1].window.End.Equal(all[from].window.Start) && joins(all[from-1], all[from-1].window, all[until-1].window) {
		from--
	}
	for until < len(all) && all[until].window.Start.Equal(all[until-1].window.End) && joins(all[until], all[from].window, all[until].window) {
		until++
	}
	return from, until
}

// aloneSQL says of simusage.slice AS s that it may not be walked with others.
const aloneSQL = `(s.failures > 0 OR s.alone OR EXISTS (SELECT FROM simusage.rejected WHERE rejected.slice_id = s.id))`

// reach leases the neighbours that are walked together with the leader.
func (w *Walk) reach(ctx context.Context, tx pgx.Tx, d Due, skip []int64) error {
	longest := w.Stream.Longest()
	if longest == 0 {
		return nil
	}
	args := append(d.args(), skip, w.ID, w.Stream.ID, w.Window.Start, w.Window.End.Add(-longest), w.Window.Start.Add(longest))
	// What a slice was never read is expected to have is what the nearest one has that was read as a whole.
	rows, err := tx.Query(ctx, `SELECT s.id, s.fence, s.window_start, s.window_end, s.published_at IS NOT NULL, s.settled,
			CASE WHEN s.published_at IS NOT NULL THEN s.row_count ELSE (
				SELECT k.row_count FROM simusage.slice k WHERE k.stream_id = $10 AND k.published_at IS NOT NULL AND k.covered_until = k.window_end
				ORDER BY greatest(k.window_start - $11, $11 - k.window_start) LIMIT 1) END
		FROM simusage.slice s JOIN `+wantSQL+` ON `+d.sql()+`
		WHERE s.stream_id = $10 AND s.window_start >= $12 AND s.window_end <= $13
			AND (s.id = $9 OR (`+unheldSQL+` AND s.id <> ALL(coalesce($8::bigint[], '{}'))))
			AND s.walk_started_at IS NULL AND s.walk_leader IS NULL AND NOT `+aloneSQL+`
		ORDER BY s.window_start FOR UPDATE OF s SKIP LOCKED`, args...)
	if err != nil {
		return err
	}
	var all []neighbour
	var parts []*Part
	lead := -1
	p, expected := Part{}, (*int64)(nil)
	_, err = pgx.ForEachRow(rows, []any{&p.ID, &p.fence, &p.Window.Start, &p.Window.End, &p.published, &p.settled, &expected}, func() error {
		if expected == nil {
			return nil // nothing is known yet
		}
		if p.ID == w.ID {
			lead = len(all)
		}
		part := p
		part.walk, part.Window = w, utc(part.Window)
		parts = append(parts, &part)
		all = append(all, neighbour{window: part.Window, rows: *expected})
		return nil
	})
	if err != nil || lead < 0 {
		return err
	}
	from, until := together(w.Stream.Stream, all, lead)
	for i := from; i < until; i++ {
		if i != lead {
			w.join(parts[i])
		}
	}
	return w.leaseMembers(ctx, tx)
}

// rejoin takes what is left of the span whose walk is open: the parts that nobody has published, begun or read since.
func (w *Walk) rejoin(ctx context.Context, tx pgx.Tx) error {
	if !w.Spans() {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT s.id, s.fence, s.window_start, s.window_end, s.published_at IS NOT NULL, s.settled FROM simusage.slice s
		WHERE s.walk_leader = $1 AND s.window_start < $3 AND s.window_end > $2 AND `+unheldSQL+`
			AND s.walk_started_at IS NULL AND (s.checked_at IS NULL OR s.checked_at < $4)
		ORDER BY s.window_start FOR UPDATE SKIP LOCKED`, w.ID, w.Ask.Start, w.Ask.End, w.Started)
	if err != nil {
		return err
	}
	var p Part
	_, err = pgx.ForEachRow(rows, []any{&p.ID, &p.fence, &p.Window.Start, &p.Window.End, &p.published, &p.settled}, func() error {
		part := p
		part.walk, part.Window = w, utc(part.Window)
		w.join(&part)
		return nil
	})
	if err != nil {
		return err
	}
	return w.leaseMembers(ctx, tx)
}

// join makes a slice a part of the walk, before the leader.
func (w *Walk) join(p *Part) {
	w.Parts = append(w.members(), p, w.lead())
	if p.Window.Start.Before(w.Window.Start) {
		w.Window.Start = p.Window.Start
	}
	if p.Window.End.After(w.Window.End) {
		w.Window.End = p.Window.End
	}
}

// lead is the slice that the walk is filed under, the last part; members are the others.
func (w *Walk) lead() *Part      { return w.Parts[len(w.Parts)-1] }
func (w *Walk) members() []*Part { return w.Parts[: len(w.Parts)-1 : len(w.Parts)-1] }

// Spans says whether the walk is that of a span, even when its leader is all that is left of it.
func (w *Walk) Spans() bool {
	only := w.lead().Window
	return len(w.Parts) > 1 || !w.Ask.Empty() && (w.Ask.Start.Before(only.Start) || w.Ask.End.After(only.End))
}

// leaseMembers writes the leases of the parts beside the leader, whose rows are locked.
func (w *Walk) leaseMembers(ctx context.Context, tx pgx.Tx) error {
	if len(w.Parts) == 1 {
		return nil
	}
	var ids []int64
	for _, p := range w.members() {
		p.fence++
		ids = append(ids, p.ID)
	}
	_, err := tx.Exec(ctx, `UPDATE simusage.slice SET fence = fence + 1, leased_by = $2, lease_expires_at = clock_timestamp() + $3::interval WHERE id = ANY($1)`,
		ids, w.s.owner, w.s.lease)
	return err
}

// mineSQL picks the slices of a walk that are still its own; leases are its parameters, $1 and $2.
const mineSQL = ` FROM unnest($1::bigint[], $2::bigint[]) AS mine (id, fence) WHERE slice.id = mine.id AND slice.fence = mine.fence`

func leases(parts []*Part) (ids, fences []int64) {
	for _, p := range parts {
		ids, fences = append(ids, p.ID), append(fences, p.fence)
	}
	return ids, fences
}

// link notes with the members that the walk which begins covers them.
func (w *Walk) link(ctx context.Context, tx pgx.Tx) error {
	if len(w.Parts) == 1 {
		return nil
	}
	ids, fences := leases(w.members())
	tag, err := tx.Exec(ctx, `UPDATE simusage.slice SET walk_leader = $3, lease_expires_at = clock_timestamp() + $4::interval`+mineSQL, ids, fences, w.ID, w.s.lease)
	if err == nil && tag.RowsAffected() < int64(len(ids)) {
		err = ErrFenced
	}
	return err
}

// Disband gives the walk of a span up, or one that is cut: each of its slices is walked alone and whole until it is published.
func (w *Walk) Disband(ctx context.Context) error {
	w.letGo()
	err := w.s.inTx(ctx, func(tx pgx.Tx) error {
		if err := w.hold(ctx, tx); err != nil {
			return err
		}
		ids, fences := leases(w.Parts)
		_, err := tx.Exec(ctx, `UPDATE simusage.slice SET alone = true, walk_leader = NULL, walk_started_at = NULL, ask_from = NULL, ask_until = NULL,
			leased_by = NULL, lease_expires_at = NULL`+mineSQL, ids, fences)
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		clearWalk(batch, w.ID)
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("give up the walk of %s: %w", w.Name(), err)
	}
	return nil
}

// fits says whether a page may go into the stage of a span.
func (w *Walk) fits(p *extract.Page[extract.Record]) error {
	if !w.Spans() {
		return nil
	}
	if n := len(p.Rejected); n > 0 {
		return fmt.Errorf("%d records cannot be understood (%s) and must be set aside with their slice: %w", n, p.Rejected[0].Reason, ErrAlone)
	}
	rows := int64(len(p.Records))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.Lists {
		rows += l.Rows
	}
	if rows > mostSpanRows {
		return fmt.Errorf("%d rows are more than were expected: %w", rows, ErrAlone)
	}
	return nil
}

func utc(w extract.Window) extract.Window {
	return extract.Window{Start: w.Start.UTC(), End: w.End.UTC()}
}
