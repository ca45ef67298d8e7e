package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// Account is one set of credentials as the warehouse knows it.
type Account struct {
	ID      int16
	Name    string
	SID     string // empty until the first answer tells it
	Created time.Time
}

// ErrAccount says that the configured account and the stored one are not the same: their data must not mix.
var ErrAccount = errors.New("another account")

// Account finds or makes the account of a configured name. The SID is its identity where the credentials tell it, so
// that a renamed account stays itself; a name that now stands for another SID is refused, not mixed in.
//
// Mostly it is there as it is configured. Only where it is not, processes take turns: two hundred that begin at once would
// wait for each other otherwise.
func (s *Store) Account(ctx context.Context, name, sid string, now time.Time) (Account, error) {
	var a Account
	err := s.pool.QueryRow(ctx, `SELECT id, name, coalesce(sid, ''), created_at FROM simusage.account WHERE name = $1 AND ($2 = '' OR sid = $2)`, name, sid).
		Scan(&a.ID, &a.Name, &a.SID, &a.Created)
	if err == nil {
		return a, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return a, fmt.Errorf("account %q: %w", name, err)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE simusage.account IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		if sid != "" {
			_, err := tx.Exec(ctx, `UPDATE simusage.account SET name = $1 WHERE sid = $2 AND name <> $1
				AND NOT EXISTS (SELECT FROM simusage.account WHERE name = $1)`, name, sid)
			if err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO simusage.account (name, sid, created_at) SELECT $1, nullif($2, ''), $3
			WHERE NOT EXISTS (SELECT FROM simusage.account WHERE name = $1 OR sid = $2)`, name, sid, now); err != nil {
			return err
		}
		var stored string
		err := tx.QueryRow(ctx, `SELECT id, name, coalesce(sid, ''), created_at FROM simusage.account WHERE name = $1`, name).
			Scan(&a.ID, &a.Name, &stored, &a.Created)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: %s is stored under another name already; keep that name in SIMUSAGE_ACCOUNTS", ErrAccount, sid)
		}
		if err != nil {
			return err
		}
		a.SID = stored
		if sid != "" && stored != sid {
			return a.identify(ctx, tx, sid)
		}
		return nil
	})
	if err != nil {
		if name == "" {
			return Account{}, fmt.Errorf("account without a name: %w", err)
		}
		return Account{}, fmt.Errorf("account %q: %w", name, err)
	}
	return a, nil
}

// End notes from when on nothing is asked for of an account; the zero time is until further notice.
func (s *Store) End(ctx context.Context, a Account, at time.Time) error {
	_, err := s.pool.Exec(ctx, `UPDATE simusage.account SET ends_at = $2 WHERE id = $1 AND ends_at IS DISTINCT FROM $2`, a.ID, moment(at))
	if err != nil {
		return fmt.Errorf("account %q: note its end: %w", a.Name, err)
	}
	return nil
}

// Is refuses a SID that an answer told when it is not the account's.
func (a *Account) Is(sid string) error {
	if a.SID != "" && sid != "" && a.SID != sid {
		return fmt.Errorf("%w: the warehouse has %s under this name, the credentials are of %s; give the new one its own name in SIMUSAGE_ACCOUNTS",
			ErrAccount, a.SID, sid)
	}
	return nil
}

// identify gives an account the SID that an answer told, once; a different one later is refused.
func (a *Account) identify(ctx context.Context, q querier, sid string) error {
	if err := a.Is(sid); err != nil {
		return err
	}
	tag, err := q.Exec(ctx, `UPDATE simusage.account SET sid = $2 WHERE id = $1 AND (sid IS NULL OR sid = $2)
		AND NOT EXISTS (SELECT FROM simusage.account WHERE sid = $2 AND id <> $1)`, a.ID, sid)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%w: %s is stored under another name already; use that name in SIMUSAGE_ACCOUNTS", ErrAccount, sid)
	}
	a.SID = sid
	return nil
}

// Stream is a stream of one account, as stored.
type Stream struct {
	ID      int16
	Account Account
	extract.Stream
}

// Stream finds or makes a stream of an account.
func (s *Store) Stream(ctx context.Context, a Account, x extract.Stream) (Stream, error) {
	grouping := string(x.Group)
	if x.FanOut != "" {
		grouping += "@" + string(x.FanOut)
	}
	filters := extract.Stream{Granularity: x.Granularity, Group: extract.Total, Fixed: x.Fixed}.String()
	st := Stream{Account: a, Stream: x}
	find := func() error {
		return s.pool.QueryRow(ctx, `SELECT id FROM simusage.stream WHERE account_id = $1 AND name = $2`, a.ID, x.String()).Scan(&st.ID)
	}
	err := find()
	if errors.Is(err, pgx.ErrNoRows) {
		_, err = s.pool.Exec(ctx, `INSERT INTO simusage.stream (account_id, name, granularity, grouping, filters) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account_id, name) DO NOTHING`, a.ID, x.String(), string(x.Granularity), grouping, filters)
		if err == nil {
			err = find()
		}
	}
	if err != nil {
		return st, fmt.Errorf("stream %s: %w", x, err)
	}
	return st, nil
}

// Peek finds an account and its streams without making them; what is not there yet has number 0.
func (s *Store) Peek(ctx context.Context, name, sid string, wanted []extract.Stream, now time.Time) ([]Stream, error) {
	a := Account{Name: name, SID: sid, Created: now}
	err := s.pool.QueryRow(ctx, `SELECT id, coalesce(sid, $2), created_at FROM simusage.account WHERE sid = $2 OR name = $1 ORDER BY sid = $2 DESC NULLS LAST LIMIT 1`, name, sid).
		Scan(&a.ID, &a.SID, &a.Created)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("account %q: %w", name, err)
	}
	streams := make([]Stream, len(wanted))
	for i, x := range wanted {
		streams[i] = Stream{Account: a, Stream: x}
		err := s.pool.QueryRow(ctx, `SELECT id FROM simusage.stream WHERE account_id = $1 AND name = $2`, a.ID, x.String()).Scan(&streams[i].ID)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("stream %s: %w", x, err)
		}
	}
	return streams, nil
}
