package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/extract"
)

// Walk is a walk of leased slices: what it asks for, the lists that are open, how far each has come, what is staged.
type Walk struct {
	s *Store

	ID     int64 // of the leader, whose lists and stage they are
	Stream Stream
	Window extract.Window // the calendar slices, from the first to the last
	Ask    extract.Window // the part of it that this walk asks for
	// Started is when the walk began, by the caller's clock; it stays the same when another process goes on with it.
	Started time.Time
	// Lists are the lists in the order in which they are walked.
	Lists []*List
	// Parts are the slices, mostly one, in the order in which they are published: by time, and last the leader.
	Parts []*Part

	mu  sync.Mutex // held by lists that are walked side by side: for the account's SID, and how far each has come
	run *run       // what a publish sorts its rows in
}

// Part is one slice of a walk, the unit of publish.
type Part struct {
	walk  *Walk
	fence int64

	ID     int64
	Window extract.Window // the calendar slice

	published, settled bool // of what readers see now
}

// ask is what the walk asks for of the slice.
func (p *Part) ask() extract.Window { return p.Window.Intersect(p.walk.Ask) }

// slot is which calendar slice of what the walk asks for the part is, of how many; -1 when it is none.
func (p *Part) slot() (at, of int) {
	slots := p.walk.Stream.Slices(p.walk.Ask)
	return slices.IndexFunc(slots, func(s extract.Window) bool { return s.Start.Equal(p.Window.Start) }), len(slots)
}

// List is one paged answer and how far it has been walked.
type List struct {
	No       int32
	Value    string         // of the fan-out dimension, empty for usage without one; also empty for the lists of a plain stream
	Ask      extract.Window // what it asks for: all that the walk asks for, or a piece of it (see cut.go)
	Cursor   string         // where to go on; empty for the first page
	Pages    int32
	Rows     int64
	Restarts int32
	Done     bool
	digests  digests
}

// Discovers says whether the list finds the values of a fan-out instead of usage: the first list of a fan-out stream.
func (w *Walk) Discovers(l *List) bool { return w.Stream.FanOut != "" && l.No == 0 }

// discovery is the value of the list that finds the values.
const discovery = "*"

// Unnamed says whether the list is the one of the usage that has no value of the fan-out dimension.
func (w *Walk) Unnamed(l *List) bool { return w.Stream.FanOut != "" && l.No > 0 && l.Value == "" }

// ErrStageLost says that the stage does not hold what the checkpoint says: Postgres crashed and emptied it. The next one to
// begin the walk begins it anew.
var ErrStageLost = errors.New("the stage was emptied by a crash of Postgres")

// abandonedSQL lets what walks of a slice ($1) set aside go that were never published: the next one finds it again.
const abandonedSQL = `DELETE FROM simusage.rejected r USING simusage.slice s
	WHERE s.id = $1 AND r.slice_id = s.id AND (s.published_at IS NULL OR r.walk_started_at > s.checked_at)`

// maxWalkAge bounds how long a walk may be gone on with. Beyond it the pages would tell of times too far apart.
const maxWalkAge = 24 * time.Hour

// Begin goes on with the walk where it stands, or begins one that asks for ask. now is the caller's clock. A walk that
// stands and cannot be gone on with begins anew with its leader alone: of a span there may be some parts left, with gaps
// between them.
func (w *Walk) Begin(ctx context.Context, ask extract.Window, now time.Time) error {
	var leave []*Part
	if age := now.Sub(w.Started); !w.Ask.Empty() {
		if age < maxWalkAge && age > -skew { // a walk of the future was begun by a clock that ran ahead
			err := w.resume(ctx)
			if err == nil || !errors.Is(err, ErrStageLost) {
				return err
			}
			w.s.log.Warn("walk begins anew", "slice", w.Name(), "reason", err)
		}
		leave, w.Parts, w.Window = w.members(), []*Part{w.lead()}, w.lead().Window
	}
	w.Ask, w.Started = ask.Intersect(w.Window), now
	if err := w.first(ctx); err != nil {
		return fmt.Errorf("begin the walk: %w", err)
	}
	err := w.s.inTx(ctx, func(tx pgx.Tx) error {
		if err := w.hold(ctx, tx); err != nil {
			return err
		}
		if err := w.link(ctx, tx); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		ids, fences := leases(leave)
		batch.Queue(`UPDATE simusage.slice SET walk_leader = NULL, leased_by = NULL, lease_expires_at = NULL`+mineSQL, ids, fences)
		// What an unfinished walk has set aside goes with it: this one meets the same records again.
		batch.Queue(abandonedSQL, w.ID)
		batch.Queue(`UPDATE simusage.slice SET walk_started_at = $2, ask_from = $3, ask_until = $4 WHERE id = $1`, w.ID, now, w.Ask.Start, w.Ask.End)
		clearWalk(batch, w.ID)
		w.addLists(batch, w.Lists)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, w.sql(stageSQL), pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin the walk: %w", err)
	}
	for _, p := range leave {
		w.s.held.remove(p.ID)
	}
	return nil
}

// first makes the lists that a walk begins with.
func (w *Walk) first(ctx context.Context) error {
	if w.Stream.FanOut != "" {
		w.Lists = []*List{{Value: discovery, Ask: w.Ask}}
		return nil
	}
	pieces, err := w.cut(ctx)
	w.Lists = listsOf(0, "", pieces)
	return err
}

// listsOf are the lists of a value, numbered from no on.
func listsOf(no int, value string, pieces []extract.Window) []*List {
	lists := make([]*List, len(pieces))
	for i, piece := range pieces {
		lists[i] = &List{No: int32(no + i), Value: value, Ask: piece}
	}
	return lists
}

// addLists brings new lists to the checkpoint.
func (w *Walk) addLists(batch *pgx.Batch, lists []*List) {
	n := len(lists)
	nos, values, from, until := make([]int32, n), make([]string, n), make([]time.Time, n), make([]time.Time, n)
	for i, l := range lists {
		nos[i], values[i], from[i], until[i] = l.No, l.Value, l.Ask.Start, l.Ask.End
	}
	batch.Queue(`INSERT INTO simusage.list (slice_id, no, value, ask_from, ask_until)
		SELECT $1, l.* FROM unnest($2::integer[], $3::text[], $4::timestamptz[], $5::timestamptz[]) AS l`, w.ID, nos, values, from, until)
}

// resume reads the checkpoint and holds it against the stage.
func (w *Walk) resume(ctx context.Context) error {
	rows, err := w.s.pool.Query(ctx, `SELECT no, value, coalesce(ask_from, $2), coalesce(ask_until, $3), cursor, pages, rows, restarts, done, digest
		FROM simusage.list WHERE slice_id = $1 ORDER BY no`, w.ID, w.Ask.Start, w.Ask.End)
	if err != nil {
		return fmt.Errorf("read the checkpoint: %w", err)
	}
	w.Lists, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*List, error) {
		l := &List{}
		var sum []byte
		err := row.Scan(&l.No, &l.Value, &l.Ask.Start, &l.Ask.End, &l.Cursor, &l.Pages, &l.Rows, &l.Restarts, &l.Done, &sum)
		l.Ask, l.digests = utc(l.Ask), digests(sum)
		return l, err
	})
	if err != nil {
		return fmt.Errorf("read the checkpoint: %w", err)
	}
	_, _, err = w.checkStage(ctx, w.s.pool, 0)
	return err
}

// checkStage holds the number of staged rows of each list against the checkpoint, and counts what is staged of one slice: its
// rows, and for how many values of the fan-out it has some.
func (w *Walk) checkStage(ctx context.Context, q querier, slot int) (rows int64, values int, err error) {
	found, err := q.Query(ctx, w.sql(`SELECT list_no, sum(rows), coalesce(sum(rows) FILTER (WHERE slot = $1), 0) FROM {pages} GROUP BY list_no`),
		pgx.QueryExecModeSimpleProtocol, slot)
	staged, some := make(map[int32]int64), make(map[int32]bool)
	var no int32
	var count, of int64
	if err == nil {
		_, err = pgx.ForEachRow(found, []any{&no, &count, &of}, func() error {
			staged[no] = count
			rows += of
			some[no] = of > 0
			return nil
		})
	}
	if stageMissing(err) {
		return 0, 0, ErrStageLost // restored from a dump without it
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count the stage: %w", err)
	}
	counted := make(map[string]bool) // a value may have several lists
	for _, l := range w.Lists {
		if !w.Discovers(l) && staged[l.No] != l.Rows {
			return 0, 0, ErrStageLost
		}
		delete(staged, l.No)
		if some[l.No] {
			counted[l.Value] = true
		}
	}
	if len(staged) > 0 {
		return 0, 0, ErrStageLost // rows of lists that the crash has taken from the checkpoint
	}
	return rows, len(counted), nil
}

// stageMissing says whether err is that the stage's table is not there.
func stageMissing(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42P01"
}

// Restart forgets what was staged of a list, so that it is walked again from its first page.
func (w *Walk) Restart(ctx context.Context, l *List) error {
	err := w.s.inTx(ctx, func(tx pgx.Tx) error {
		if err := w.hold(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, w.sql(`DELETE FROM {pages} WHERE list_no = $1`), pgx.QueryExecModeSimpleProtocol, l.No); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(`DELETE FROM simusage.rejected WHERE slice_id = $1 AND list_no = $2 AND walk_started_at = $3`, w.ID, l.No, w.Started)
		batch.Queue(`UPDATE simusage.list SET cursor = '', pages = 0, rows = 0, digest = DEFAULT, restarts = restarts + 1, done = false
			WHERE slice_id = $1 AND no = $2`, w.ID, l.No)
		if w.Discovers(l) {
			batch.Queue(`DELETE FROM simusage.list WHERE slice_id = $1 AND no > 0`, w.ID)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("restart the list: %w", err)
	}
	if w.Discovers(l) {
		w.Lists = w.Lists[:1]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	*l = List{No: l.No, Value: l.Value, Ask: l.Ask, Restarts: l.Restarts + 1}
	return nil
}

// clearWalk ends a walk's books: its checkpoint and its stage, whichever it has.
func clearWalk(batch *pgx.Batch, leader int64) {
	batch.Queue(`DELETE FROM simusage.list WHERE slice_id = $1`, leader)
	batch.Queue(fmt.Sprintf(`DROP TABLE IF EXISTS %s, %s`, stageOf(leader, false), stageOf(leader, true)))
}

// Name is the walk as people read it: account, stream and day, or first and last day.
func (w *Walk) Name() string {
	name := w.name(w.Window.Start)
	if last := w.Window.End.Add(-1); len(w.Parts) > 1 {
		name += ".." + last.Format(time.DateOnly)
	}
	return name
}

// Name is the slice as people read it: account, stream and first day.
func (p *Part) Name() string { return p.walk.name(p.Window.Start) }

func (w *Walk) name(start time.Time) string {
	name := w.Stream.Stream.String() + " " + start.Format(time.DateOnly)
	if w.Stream.Account.Name != "" {
		name = w.Stream.Account.Name + " " + name
	}
	return name
}
