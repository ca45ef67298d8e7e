package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// Drift is told once: the first time that an account's answers have a field that is not known, or lack one that is, the
// log gets a warning, and the table keeps it from then on with the time at which it was seen last. A field that changes
// is on every page of every slice, of every process, so each process goes to the table with it once an hour only.

const (
	mostDrift = 100 // fields of an account; beyond that the API is making up names
	driftAge  = time.Hour
)

// driftSet remembers what this process has brought to the table, and when.
type driftSet struct {
	mu   sync.Mutex
	seen map[int16]map[extract.Drift]time.Time // by account number
}

// stale are those of the page's that are to be brought to the table.
func (d *driftSet) stale(account int16, page []extract.Drift, now time.Time) []extract.Drift {
	if len(page) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.seen[account]
	var stale []extract.Drift
	for _, f := range page {
		at, known := seen[f]
		if known && now.Sub(at) >= driftAge || !known && len(seen)+len(stale) < mostDrift {
			f.Resource, f.Field = strings.Clone(f.Resource), strings.Clone(f.Field) // they outlive the page
			stale = append(stale, f)
		}
	}
	return stale
}

func (d *driftSet) add(account int16, fields []extract.Drift, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = make(map[int16]map[extract.Drift]time.Time)
	}
	if d.seen[account] == nil {
		d.seen[account] = make(map[extract.Drift]time.Time)
	}
	for _, f := range fields {
		d.seen[account][f] = now
	}
}

// drift brings what a page has told to the table. It goes before the page: behind it, a kill in between would let the
// page be loaded and its news be lost.
func (s *Store) drift(ctx context.Context, a Account, page []extract.Drift) error {
	now := time.Now()
	fields := s.drifts.stale(a.ID, page, now)
	if len(fields) == 0 {
		return nil
	}
	var fresh []extract.Drift
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		fresh, err = noteDrift(ctx, tx, a, fields)
		return err
	})
	if err != nil {
		return fmt.Errorf("note fields that are new or missing: %w", err)
	}
	s.drifts.add(a.ID, fields, now)
	for _, f := range fresh {
		s.log.Warn("the API's answers have changed", "account", a.Name, "resource", f.Resource, "field", f.Field, "kind", f.Kind())
	}
	return nil
}

// driftOf brings what a refused page has told to the table: it says so again and again, and may never be loaded.
func (s *Store) driftOf(ctx context.Context, a Account, why error) error {
	var refused *extract.DriftError
	if !errors.As(why, &refused) {
		return nil
	}
	return s.drift(ctx, a, refused.Drift)
}

// noteDrift stores the fields and returns those that nobody had seen before. The account's row is the turn: it keeps two
// processes from telling the same, and from storing more than the most. What refers to that row need not wait.
func noteDrift(ctx context.Context, tx pgx.Tx, a Account, fields []extract.Drift) ([]extract.Drift, error) {
	var resources, names, kinds []string
	for _, f := range fields {
		resources, names, kinds = append(resources, storable(f.Resource)), append(names, storable(f.Field)), append(kinds, f.Kind())
	}
	if _, err := tx.Exec(ctx, `SELECT FROM simusage.account WHERE id = $1 FOR NO KEY UPDATE`, a.ID); err != nil {
		return nil, err
	}
	_, err := tx.Exec(ctx, `UPDATE simusage.drift d SET last_seen_at = now()
		FROM unnest($2::text[], $3::text[], $4::text[]) AS f (resource, field, kind)
		WHERE d.account_id = $1 AND d.resource = f.resource AND d.field = f.field AND d.kind = f.kind AND d.last_seen_at < now() - $5::interval`,
		a.ID, resources, names, kinds, driftAge)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `INSERT INTO simusage.drift (account_id, resource, field, kind)
		SELECT $1, f.resource, f.field, f.kind FROM unnest($2::text[], $3::text[], $4::text[]) AS f (resource, field, kind)
		WHERE NOT EXISTS (SELECT FROM simusage.drift d
			WHERE d.account_id = $1 AND d.resource = f.resource AND d.field = f.field AND d.kind = f.kind)
		LIMIT greatest(0, $5 - (SELECT count(*) FROM simusage.drift WHERE account_id = $1))
		ON CONFLICT DO NOTHING
		RETURNING resource, field, kind = 'missing'`, a.ID, resources, names, kinds, mostDrift)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[extract.Drift])
}
