package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// Held is a slice that shrank and is held back: what is published, and what the API says now.
type Held struct {
	Rows, Bytes       int64 // published
	NowRows, NowBytes int64
}

// Caution says when a slice that shrinks is held back.
type Caution struct {
	// Shrink is the share of the published rows or bytes that may vanish at once: 0.2 for a fifth.
	Shrink float64
	// HeldBefore: a smaller answer that was held back before this, and is the same now, is believed.
	HeldBefore time.Time
}

// shrinks says whether the slice shrinks by more than may be taken over at once: nil when it may. A second pass that says
// the same, or an operator, makes it so.
func (p *Part) shrinks(ctx context.Context, tx pgx.Tx, sum digest, c Caution) (*Held, error) {
	if !p.published {
		return nil, nil
	}
	var believed bool
	err := tx.QueryRow(ctx, `SELECT accepted OR coalesce(held_digest = $2 AND held_at < $3, false) FROM simusage.slice WHERE id = $1`,
		p.ID, sum.bytes(), c.HeldBefore).Scan(&believed)
	if err != nil || believed {
		return nil, err
	}
	h := &Held{}
	if err := p.measure(ctx, tx, "published", &h.Rows, &h.Bytes, p.walk.Stream.ID, p.ask().Start, p.ask().End); err != nil || h.Rows == 0 {
		return nil, err
	}
	if err := p.measure(ctx, tx, "growth", &h.NowRows, &h.NowBytes); err != nil {
		return nil, err
	}
	h.NowRows, h.NowBytes = h.NowRows+h.Rows, h.NowBytes+h.Bytes
	less := func(now, before int64) bool { return float64(now) < float64(before)*(1-c.Shrink) }
	if h.NowRows > 0 && !less(h.NowRows, h.Rows) && !less(h.NowBytes, h.Bytes) {
		return nil, nil
	}
	return h, nil
}

func (p *Part) measure(ctx context.Context, tx pgx.Tx, name string, rows, bytes *int64, args ...any) error {
	text, err := publishSQL.ReadFile("publish/" + name + ".sql")
	if err == nil {
		err = tx.QueryRow(ctx, p.walk.sql(string(text)), append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...).Scan(rows, bytes)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// holdBack closes the slice's part of the walk and keeps what it said as a digest. Nothing else of the slice changes: it stays due, and the
// next pass is another one, later: a fault of the API that lasts a minute must not agree with itself.
func (p *Part) holdBack(ctx context.Context, tx pgx.Tx, h *Held, sum digest) error {
	if h == nil {
		return nil
	}
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM simusage.rejected WHERE slice_id = $1 AND walk_started_at = $2`, p.ID, p.walk.Started)
	batch.Queue(`UPDATE simusage.slice SET held_at = CASE WHEN held_digest = $3 THEN held_at ELSE $2 END, held_digest = $3, held_rows = $4, held_bytes = $5,
			doubted = false, walk_started_at = NULL, ask_from = NULL, ask_until = NULL, walk_leader = NULL, leased_by = NULL, lease_expires_at = NULL
		WHERE id = $1`, p.ID, p.walk.Started, sum.bytes(), h.NowRows, h.NowBytes)
	p.clear(batch)
	return tx.SendBatch(ctx, batch).Close()
}

// Accept lets the slices of a window that are held back be taken over by the next pass, whatever it says. It returns how
// many there are.
func (s *Store) Accept(ctx context.Context, streams []Stream, window extract.Window) (int64, error) {
	ids := make([]int16, len(streams))
	for i, st := range streams {
		ids[i] = st.ID
	}
	tag, err := s.pool.Exec(ctx, `UPDATE simusage.slice SET accepted = true
		WHERE held_at IS NOT NULL AND stream_id = ANY($1) AND window_start < $3 AND window_end > $2`, ids, window.Start, window.End)
	if err != nil {
		return 0, fmt.Errorf("accept the slices that are held back: %w", err)
	}
	return tag.RowsAffected(), nil
}

// HeldBack counts the slices of the wanted windows that are held back.
func (s *Store) HeldBack(ctx context.Context, d Due) (n int, err error) {
	if len(d.Streams) == 0 {
		return 0, nil
	}
	args := d.args()
	err = s.pool.QueryRow(ctx, `SELECT count(*) FROM unnest($1::smallint[], $2::timestamptz[], $3::timestamptz[]) AS w(stream_id, first, until)
		CROSS JOIN LATERAL (SELECT FROM simusage.slice s WHERE s.stream_id = w.stream_id AND s.window_start >= w.first AND s.window_start < w.until
			AND s.held_at IS NOT NULL AND NOT s.accepted OFFSET 0) held`, args[:3]...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the slices that are held back: %w", err)
	}
	return n, nil
}

// HeldSlice is a slice that is held back, for status.
type HeldSlice struct {
	Account  string    `json:"account" doc:"name of the account"`
	Stream   string    `json:"stream" doc:"stream"`
	Window   time.Time `json:"window_start" doc:"start of the slice"`
	End      time.Time `json:"window_end" doc:"its end"`
	Since    time.Time `json:"since" doc:"when the API began to say less"`
	Rows     int64     `json:"rows" doc:"records that are published"`
	NowRows  int64     `json:"now_rows" doc:"records that the API has now"`
	NowBytes int64     `json:"now_bytes" doc:"their bytes"`
	Accepted bool      `json:"accepted" doc:"whether the next pass takes it over, because of accept"`
}

func (s *Store) heldSlices(ctx context.Context) ([]HeldSlice, error) {
	rows, err := s.pool.Query(ctx, `SELECT account.name, stream.name, slice.window_start, slice.window_end, slice.held_at, slice.row_count, slice.held_rows, slice.held_bytes, slice.accepted
		FROM simusage.slice JOIN simusage.stream ON stream.id = slice.stream_id JOIN simusage.account ON account.id = stream.account_id
		WHERE slice.held_at IS NOT NULL ORDER BY slice.window_start DESC, stream.id LIMIT 100`)
	if err != nil {
		return nil, fmt.Errorf("read the slices that are held back: %w", err)
	}
	held, err := pgx.CollectRows(rows, pgx.RowToStructByPos[HeldSlice])
	if err != nil {
		return nil, fmt.Errorf("read the slices that are held back: %w", err)
	}
	return held, nil
}
