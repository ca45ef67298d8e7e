package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// Only a page tells where the next one is, so a list is walked page after page. A day of a million SIMs has 24 million rows:
// that are 24,000 pages, hours of waiting for one after another, where the API would answer a hundred at once. More workers
// or processes do not help, because they share slices, and the slices that are read every hour are the few that are not
// settled. So the walk of a slice that is large cuts what it asks for by time: what would be one list (for each value of a
// fan-out) becomes several, of some hours each (of some days, in streams by day), and these are walked side by side.
//
// The rules, and what each prevents:
//
//   - The pieces of a value follow on each other without a gap, in whole buckets (extract.Stream.Cut), and each is a list of its
//     own with its own cursor, pages and rows. A bucket comes in one list only, so nothing is staged twice; what digest, stage,
//     rejected records and publish know of lists holds for pieces unchanged. One whose page token is refused begins again alone.
//   - What a list asks for is stored with it when it is made. Whoever goes on with the walk, hours later or elsewhere, finds it
//     there and does not ask again how many rows are expected: by then the answer may be another.
//   - Only a slice that was read before is cut, by what it had then for each hour that it covered: today's slice grows, and a
//     slice that was never read may be anything. A first load has slices enough to keep all places in flight busy.
//   - A piece is expected to have so many rows (Options.ListRows) that its last page, which is half full, costs little: 20,000
//     are twenty pages at Twilio, eighty at KORE. So a cut costs 3 % more requests at Twilio, in exchange for which no list of a
//     large slice is longer than it need be, and a slice of less than 40,000 rows a value costs not one request more. What
//     each value of a fan-out has is not known; all are cut alike, by their average, so small ones cannot cost more than that
//     either. Where one country has most of it, its pieces are longer.
//   - The list that finds the values is one for all, and not cut. Spans never are: they are chosen for having few rows.
//   - The API may refuse a question that begins in the middle of a day, or answer it with another one. Then the walk is given
//     up (Disband), and the slice is walked whole until it is published.
//
// Beside a program that cuts nothing (a rollout): its lists say nothing of time, which means all that the walk asks for. When it
// goes on with a walk that is cut, it goes on from each cursor that it finds; of a piece that has none yet it asks for all,
// because it does not see that it is a piece. That costs time and gives records twice, which a publish removes, as it does when
// pages shift.

// listRows is how many rows a piece is expected to have at least, unless Options say otherwise.
const listRows = 20_000

// cut is what each value of the walk is asked for in: pieces of what the walk asks for, mostly one.
func (w *Walk) cut(ctx context.Context) ([]extract.Window, error) {
	whole := []extract.Window{w.Ask}
	if w.Spans() || !w.lead().published {
		return whole, nil
	}
	var rows, lists int64
	var from, until time.Time
	err := w.s.pool.QueryRow(ctx, `SELECT row_count, list_count, covered_from, covered_until FROM simusage.slice
		WHERE id = $1 AND NOT alone AND covered_from < covered_until`, w.ID).Scan(&rows, &lists, &from, &until)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return whole, nil
	case err != nil:
		return nil, fmt.Errorf("read what the slice had: %w", err)
	}
	rows = int64(float64(rows) * float64(w.Ask.End.Sub(w.Ask.Start)) / float64(until.Sub(from)))
	return w.Stream.Cut(w.Ask, pieces(w.Stream.Stream, rows, lists, w.s.listRows)), nil
}

// pieces is in how many lists each value of a slice is asked for that is expected to have so many rows, in so many lists
// when it is not cut.
func pieces(st extract.Stream, rows, lists, listRows int64) int {
	if st.FanOut != "" {
		lists-- // the one that finds the values
	}
	return int(max(1, rows/max(1, lists)/listRows))
}

// cutLists is how many lists a slice has then.
func cutLists(st extract.Stream, ask extract.Window, rows, lists, listRows int64) int64 {
	n := int64(len(st.Cut(ask, pieces(st, rows, lists, listRows))))
	if st.FanOut != "" {
		return 1 + (lists-1)*n
	}
	return lists * n
}

// IsCut says whether the walk asks for its slice in pieces.
func (w *Walk) IsCut() bool {
	return slices.ContainsFunc(w.Lists, w.piece)
}

// piece says whether the list asks for a part of what the walk asks for.
func (w *Walk) piece(l *List) bool {
	return !l.Ask.Start.Equal(w.Ask.Start) || !l.Ask.End.Equal(w.Ask.End)
}
