package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/extract"
)

// ErrFenced says that the lease of a slice went to another process. What this one did is not lost: the other goes on
// from the same checkpoint.
var ErrFenced = errors.New("the slice was taken over by another process")

// unheldSQL says of simusage.slice AS s that nobody holds it; freeSQL that it is wanted, too ($9: those that are not).
const (
	unheldSQL = `(s.leased_by IS NULL OR s.lease_expires_at <= clock_timestamp())`
	freeSQL   = ` AND ` + unheldSQL + ` AND s.id <> ALL(coalesce($9::bigint[], '{}'))`
)

// Lease takes one due slice, with the neighbours that it is walked together with (see span.go), or nil when none is free.
// skip are slices that are not wanted (they failed in this run).
//
// Two processes never get the same slice: SKIP LOCKED keeps them off a row that is being taken, the expiry off a row
// that is taken. A dead process' slice is free again when its lease expires.
func (s *Store) Lease(ctx context.Context, d Due, skip []int64) (*Walk, error) {
	if len(d.Streams) == 0 {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// One at a time in a process: two workers that look at one stream at the same moment would cut its span in two. Processes
	// may still do that to each other, which costs a request or two.
	s.leasing.Lock()
	defer s.leasing.Unlock()
	// Not to be interrupted half-way, although bounded: a lease that was taken and that nobody knows of would keep its slice
	// from everybody until it expires. Whoever is stopped gives it back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var w *Walk
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		w, err = s.take(ctx, tx, d, skip)
		switch {
		case w == nil || err != nil:
			return err
		case w.Started.IsZero():
			return w.reach(ctx, tx, d, skip)
		}
		return w.rejoin(ctx, tx)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = errSilent // not the caller's deadline, which does not count here
	}
	if err != nil {
		return nil, fmt.Errorf("lease a slice: %w", err)
	}
	if w != nil {
		for _, p := range w.Parts {
			s.held.add(p.ID)
		}
	}
	return w, nil
}

// take leases the one slice that comes first. What was left of a span comes last: its leader, which comes before, goes on
// with all of it.
//
// To put all that is due in order takes half a second where a hundred thousand slices are. So the order is first looked
// for among those that come first in each stream, which indexes have in order. Only where none of these can be had, because all
// are left of spans or others have just taken them, are all that are due looked at.
func (s *Store) take(ctx context.Context, tx pgx.Tx, d Due, skip []int64) (*Walk, error) {
	first, err := s.first(ctx, tx, d, skip)
	if err != nil {
		return nil, err
	}
	w, err := s.takeOf(ctx, tx, d, skip, `$12::bigint[]`, first)
	if w == nil && err == nil {
		w, err = s.takeOf(ctx, tx, d, skip, `ARRAY(SELECT s.id FROM `+d.from(freeSQL)+`)`)
	}
	return w, err
}

// Between inOrder and anyhow the planner takes slices in the order of an index. It expects what is due in a stream to be few, and
// would put all of it in order to find the first.
const (
	inOrder = `SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true)`
	anyhow  = `SELECT set_config('enable_sort', 'on', true), set_config('enable_bitmapscan', 'on', true)`
)

// first are the slices that come first.
func (s *Store) first(ctx context.Context, tx pgx.Tx, d Due, skip []int64) (ids []int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(inOrder)
	batch.Queue(firstSQL(d), append(d.args(), d.Recent, skip)...).Query(func(rows pgx.Rows) (err error) {
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	batch.Queue(anyhow)
	return ids, tx.SendBatch(ctx, batch).Close()
}

// firstSQL are the slices that come first in each stream, of the recent and of the others: as many as a few hundred processes
// that lease at the same moment have use for. Those that are read again although nothing else is the matter come in the order
// in which they were read; nothing is read before its time, which leaves out what lies beyond the wall.
func firstSQL(d Due) string {
	const most = ` LIMIT 2 + 400 / cardinality($1::smallint[])`
	free := `SELECT s.id FROM simusage.slice s WHERE ` + dueSQL + freeSQL + ` AND s.walk_leader IS NULL AND `
	first := `(` + free + openSQL + ` AND s.window_end > $8 AND s.window_start > $8::timestamptz - interval '31 days' ORDER BY s.window_start DESC` + most + `)
		UNION ALL
		(` + free + openSQL + ` AND s.window_end <= $8 ORDER BY s.window_start` + most + `)`
	if !d.AgainBefore.IsZero() {
		first += `
		UNION ALL
		(` + free + openSQL + ` IS NOT TRUE AND s.checked_at >= w.first AND s.checked_at < $7 ORDER BY s.checked_at` + most + `)`
	}
	return `SELECT f.id FROM ` + wantSQL + ` CROSS JOIN LATERAL (` + first + `) f`
}

// takeOf is take among some slices.
func (s *Store) takeOf(ctx context.Context, tx pgx.Tx, d Due, skip []int64, among string, ids ...any) (*Walk, error) {
	w := &Walk{s: s}
	p := &Part{walk: w}
	var stream int16
	var asked extract.Window
	args := append(append(d.args(), d.Recent, skip, s.owner, s.lease), ids...)
	err := tx.QueryRow(ctx, `UPDATE simusage.slice SET fence = fence + 1, leased_by = $10, lease_expires_at = clock_timestamp() + $11::interval, walk_leader = NULL
		WHERE id = (
			SELECT s.id FROM simusage.slice s JOIN `+wantSQL+` ON `+d.sql()+freeSQL+` AND s.id = ANY(`+among+`)
			ORDER BY s.walk_leader IS NOT NULL, s.window_end > $8 DESC,
				CASE WHEN s.window_end > $8 THEN extract(epoch FROM $8 - s.window_start) ELSE extract(epoch FROM s.window_start) END,
				s.stream_id
			LIMIT 1 FOR UPDATE OF s SKIP LOCKED)
		RETURNING id, stream_id, fence, window_start, window_end, published_at IS NOT NULL, settled,
			coalesce(walk_started_at, '0001-01-01Z'), coalesce(ask_from, window_start), coalesce(ask_until, window_end)`,
		args...).Scan(&p.ID, &stream, &p.fence, &p.Window.Start, &p.Window.End, &p.published, &p.settled,
		&w.Started, &asked.Start, &asked.End)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.Window = utc(p.Window)
	w.ID, w.Window, w.Parts = p.ID, p.Window, []*Part{p}
	for _, st := range d.Streams {
		if st.ID == stream {
			w.Stream = st.Stream
		}
	}
	if w.Started = w.Started.UTC(); !w.Started.IsZero() {
		w.Ask = utc(asked)
	}
	return w, nil
}

// KeepAlive extends the leases of this process and the sign of life of its run, until ctx ends. A process that does not
// get to run this for the length of a lease loses its slices to others.
//
// A slice whose row is locked is being staged or published by this process: that extends its lease itself, and a publish
// may take longer than a lease. Waiting for it would let the other leases run out.
func (s *Store) KeepAlive(ctx context.Context, run int64) error {
	for {
		if err := sleep(ctx, s.lease/3); err != nil {
			return nil
		}
		// On a connection that is dead this would wait while the leases run out.
		bounded, cancel := context.WithTimeout(ctx, max(s.lease/3, 5*time.Second))
		_, err := s.pool.Exec(bounded, `WITH alive AS (UPDATE simusage.run SET seen_at = clock_timestamp() WHERE id = $3)
			UPDATE simusage.slice SET lease_expires_at = clock_timestamp() + $2::interval WHERE id IN (
				SELECT id FROM simusage.slice WHERE leased_by = $1 AND id = ANY($4) FOR UPDATE SKIP LOCKED)`,
			s.owner, s.lease, run, s.held.all())
		cancel()
		if err != nil && ctx.Err() == nil {
			s.log.Warn("leases not extended", "error", err)
		}
	}
}

// hold checks the fence inside a transaction and extends the lease. The row stays locked until the transaction ends, so
// that nobody can take the slice over between the check and the commit.
func (p *Part) hold(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	p.queueHold(batch)
	return tx.SendBatch(ctx, batch).Close()
}

// queueHold is hold as one of several statements that go to Postgres at once.
func (p *Part) queueHold(batch *pgx.Batch) {
	batch.Queue(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() + $3::interval WHERE id = $1 AND fence = $2`, p.ID, p.fence, p.walk.s.lease).
		Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() == 0 {
				return ErrFenced
			}
			return nil
		})
}

// hold holds the walk: whoever has its leader may stage and read the stage.
func (w *Walk) hold(ctx context.Context, tx pgx.Tx) error { return w.lead().hold(ctx, tx) }

// letGo stops keeping the leases of the walk alive.
func (w *Walk) letGo() {
	for _, p := range w.Parts {
		w.s.held.remove(p.ID)
	}
}

// Release gives the slices back with their walk as it stands: the next one to lease the leader goes on there.
func (w *Walk) Release(ctx context.Context) error {
	w.letGo()
	ids, fences := leases(w.Parts)
	if _, err := w.s.pool.Exec(ctx, `UPDATE simusage.slice SET leased_by = NULL, lease_expires_at = NULL`+mineSQL, ids, fences); err != nil {
		return fmt.Errorf("release the slice: %w", err)
	}
	return nil
}

// Fail notes why the walk could not be finished, with what a refused page has told, and gives it back as it stands. The
// failure is noted with the leader.
func (w *Walk) Fail(ctx context.Context, why error) error {
	w.letGo()
	ids, fences := leases(w.Parts)
	_, err := w.s.pool.Exec(ctx, `UPDATE simusage.slice SET leased_by = NULL, lease_expires_at = NULL, failures = failures + (slice.id = $3)::int,
		failed_at = CASE WHEN slice.id = $3 THEN clock_timestamp() ELSE failed_at END,
		last_error = CASE WHEN slice.id = $3 THEN left($4, 2000) ELSE last_error END`+mineSQL, ids, fences, w.ID, storable(why.Error()))
	if err != nil {
		return fmt.Errorf("note the failure of the slice: %w", err)
	}
	return w.s.driftOf(ctx, w.Stream.Account, why)
}

// Walking is how many slices this process walks now.
func (s *Store) Walking() int { return len(s.held.all()) }

// heldSet is the slices that this process walks now. A slice that could not be given back (the database was gone) is not
// among them, and its lease runs out.
type heldSet struct {
	mu  sync.Mutex
	ids map[int64]bool
}

func (h *heldSet) add(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids == nil {
		h.ids = make(map[int64]bool)
	}
	h.ids[id] = true
}

func (h *heldSet) remove(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.ids, id)
}

func (h *heldSet) all() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.ids))
}
