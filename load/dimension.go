package load

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

//go:embed names/*.sql
var namesSQL embed.FS

// Names is one reading of the lists of SIMs, fleets and networks of an account. The lists have no date to ask by, so they
// are read whole, into tables of this reading, and merged in one transaction at the end. One process at a time reads
// them, under a lease of its own; if it dies, another one may begin again when that has run out, and the first one, should it
// wake up, can write nothing.
type Names struct {
	s       *Store
	account Account
	fence   int64
	iccid   bool
	now     time.Time
	read    int64 // rows
}

// ClaimNames begins to read the names of an account, unless they were read after freshFrom or another process reads them
// now: then it returns nil. iccid says whether to store ICCIDs; where it is false, those that are stored are erased.
func (s *Store) ClaimNames(ctx context.Context, a Account, now, freshFrom time.Time, iccid bool) (*Names, error) {
	n := &Names{s: s, account: a, iccid: iccid, now: now}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `UPDATE simusage.account SET names_fence = names_fence + 1, names_claimed_until = clock_timestamp() + $3::interval
			WHERE id = $1 AND coalesce(names_at < $2 OR names_at > $4, true) AND coalesce(names_claimed_until < clock_timestamp(), true)
			RETURNING names_fence`, a.ID, freshFrom, s.lease, now.Add(skew)).Scan(&n.fence)
		if err != nil {
			return err
		}
		return n.exec(ctx, tx, "stage")
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("begin to read the names: %w", err)
	}
	return n, nil
}

// KeepAlive extends the lease of the reading until ctx ends. A publish has the account locked, and ends the lease itself.
func (n *Names) KeepAlive(ctx context.Context) {
	for sleep(ctx, n.s.lease/3) == nil {
		bounded, cancel := context.WithTimeout(ctx, max(n.s.lease/3, 5*time.Second))
		_, err := n.s.pool.Exec(bounded, `UPDATE simusage.account SET names_claimed_until = clock_timestamp() + $3::interval WHERE id = (
			SELECT id FROM simusage.account WHERE id = $1 AND names_fence = $2 AND names_claimed_until IS NOT NULL FOR UPDATE SKIP LOCKED)`,
			n.account.ID, n.fence, n.s.lease)
		cancel()
		if err != nil && ctx.Err() == nil {
			n.s.log.Warn("lease of the names not extended", "error", err)
		}
	}
}

// Sims takes in a page of SIMs.
func (n *Names) Sims(ctx context.Context, page *extract.Page[extract.SimName]) error {
	columns := []string{"account_id", "sid", "unique_name", "iccid", "status", "fleet_sid", "created_at", "updated_at"}
	return stageNames(ctx, n, "sims", columns, page, func(sim *extract.SimName) []any {
		iccid := (*string)(nil)
		if n.iccid {
			iccid = text(sim.ICCID)
		}
		return []any{n.account.ID, sim.SID, text(sim.UniqueName), iccid, text(sim.Status), text(sim.FleetSID), moment(sim.Created), moment(sim.Updated)}
	})
}

// Fleets takes in a page of fleets.
func (n *Names) Fleets(ctx context.Context, page *extract.Page[extract.FleetName]) error {
	columns := []string{"account_id", "sid", "unique_name", "data_enabled", "data_limit", "data_metering", "network_access_profile_sid", "created_at", "updated_at"}
	return stageNames(ctx, n, "fleets", columns, page, func(f *extract.FleetName) []any {
		return []any{n.account.ID, f.SID, text(f.UniqueName), f.DataEnabled, f.DataLimit, text(f.Metering), text(f.ProfileSID), moment(f.Created), moment(f.Updated)}
	})
}

// Networks takes in a page of networks.
func (n *Names) Networks(ctx context.Context, page *extract.Page[extract.NetworkName]) error {
	return stageNames(ctx, n, "networks", []string{"sid", "name", "iso_country", "identifiers"}, page, func(w *extract.NetworkName) []any {
		return []any{w.SID, text(w.Name), text(w.IsoCountry), w.Identifiers}
	})
}

// stageNames stages a page. A row that comes on two pages (the lists shift while they are read) is taken once.
func stageNames[T any](ctx context.Context, n *Names, list string, columns []string, page *extract.Page[T], row func(*T) []any) error {
	table := n.table(list, n.fence)
	err := n.s.drift(ctx, n.account, page.Drift)
	if err == nil {
		err = n.s.inTx(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `CREATE TEMP TABLE page (LIKE `+table.Sanitize()+`) ON COMMIT DROP`); err != nil {
				return err
			}
			source := pgx.CopyFromSlice(len(page.Records), func(i int) ([]any, error) { return row(&page.Records[i]), nil })
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{"page"}, columns, source); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO `+table.Sanitize()+` SELECT * FROM page ON CONFLICT DO NOTHING`)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("stage the names of %s: %w", list, err)
	}
	n.read += int64(len(page.Records))
	return nil
}

// ErrNoNames says that a list came back empty that was not empty before: it is not taken over.
var ErrNoNames = errors.New("the list is empty, and was not before")

// Rows is how many rows of all lists were read.
func (n *Names) Rows() int64 { return n.read }

// Publish merges what was read: new and changed names, SIMs and fleets that are gone, the history of each SIM.
func (n *Names) Publish(ctx context.Context) error {
	err := n.s.inTx(ctx, func(tx pgx.Tx) error {
		var fence int64
		if err := tx.QueryRow(ctx, `SELECT names_fence FROM simusage.account WHERE id = $1 FOR UPDATE`, n.account.ID).Scan(&fence); err != nil {
			return err
		}
		if fence != n.fence {
			return ErrFenced
		}
		if _, err := tx.Exec(ctx, planning); err != nil { // the tables were empty when Postgres looked at them last
			return err
		}
		var sims, staged int64
		err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM simusage.sim WHERE account_id = $1 AND gone_at IS NULL), (SELECT count(*) FROM `+n.table("sims", n.fence).Sanitize()+`)`,
			n.account.ID).Scan(&sims, &staged)
		if err != nil {
			return err
		}
		if staged == 0 && sims > 0 {
			return fmt.Errorf("%w (SIMs)", ErrNoNames)
		}
		for _, step := range []struct {
			name string
			args []any
		}{
			{"ahead", []any{n.account.ID, n.now, n.now.Add(skew)}}, {"sims", nil}, {"sims_gone", []any{n.account.ID, n.now}},
			{"history_end", []any{n.account.ID, n.now}}, {"history_begin", []any{n.account.ID, n.now}},
			{"fleets", nil}, {"fleets_gone", []any{n.account.ID, n.now}}, {"networks", nil},
		} {
			if err := n.exec(ctx, tx, step.name, step.args...); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE simusage.account SET names_at = $2, names_claimed_until = NULL WHERE id = $1`, n.account.ID, n.now); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, n.sql(`DROP TABLE {sims}, {fleets}, {networks}`))
		return err
	})
	if err != nil {
		return fmt.Errorf("take over the names: %w", err)
	}
	return nil
}

// Fail gives the claim back, so that the next run may try, and notes what the refused page has told.
func (n *Names) Fail(ctx context.Context, why error) error {
	_, err := n.s.pool.Exec(ctx, `UPDATE simusage.account SET names_claimed_until = NULL WHERE id = $1 AND names_fence = $2`, n.account.ID, n.fence)
	if err != nil {
		return fmt.Errorf("give the names back: %w", err)
	}
	return n.s.driftOf(ctx, n.account, why)
}

func (n *Names) exec(ctx context.Context, q querier, name string, args ...any) error {
	file, err := namesSQL.ReadFile("names/" + name + ".sql")
	if err != nil {
		return err
	}
	if _, err := q.Exec(ctx, n.sql(string(file)), append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (n *Names) table(list string, fence int64) pgx.Identifier {
	return pgx.Identifier{"simusage", fmt.Sprintf("names_%d_%d_%s", n.account.ID, fence, list)}
}

func (n *Names) sql(query string) string {
	var pairs []string
	for _, list := range []string{"sims", "fleets", "networks"} {
		pairs = append(pairs, "{"+list+"}", n.table(list, n.fence).Sanitize(), "{"+list+"_before}", n.table(list, n.fence-1).Sanitize())
	}
	return strings.NewReplacer(pairs...).Replace(query)
}

// text is nil, which SQL calls NULL, for the empty string.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// moment is nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
