package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// room is the connections of a process. There may be no room for another one: two hundred pods want more than a server lets in,
// and all at once when they begin. A process takes connections when it needs them, so it would meet that anywhere, and slices
// would fail that are not at fault. So whatever wants a connection and finds no room tries again, each process at moments of its
// own, until another one of this process is free, or another process has ended. Nothing was sent yet, so nothing is done twice.
type room struct {
	*pgxpool.Pool
	patience time.Duration
}

// full says whether Postgres, or the limit of a role or a database, lets no more connections in.
func full(err error) bool {
	var connect *pgconn.ConnectError
	var pg *pgconn.PgError
	return errors.As(err, &connect) && errors.As(err, &pg) && pg.Code == "53300"
}

// try does something on a connection, as soon as there is one.
func (r room) try(ctx context.Context, do func() error) error {
	began := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := do()
		if !full(err) || time.Since(began) > r.patience || sleep(ctx, pause/2+rand.N(pause)) != nil {
			return err
		}
	}
}

// Acquire is pgxpool's, with patience, as all below.
func (r room) Acquire(ctx context.Context) (conn *pgxpool.Conn, err error) {
	err = r.try(ctx, func() error { conn, err = r.Pool.Acquire(ctx); return err })
	return conn, err
}

// BeginTx begins a transaction.
func (r room) BeginTx(ctx context.Context, opts pgx.TxOptions) (tx pgx.Tx, err error) {
	err = r.try(ctx, func() error { tx, err = r.Pool.BeginTx(ctx, opts); return err })
	return tx, err
}

// Exec does a statement.
func (r room) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	err = r.try(ctx, func() error { tag, err = r.Pool.Exec(ctx, sql, args...); return err })
	return tag, err
}

// Query asks for rows.
func (r room) Query(ctx context.Context, sql string, args ...any) (rows pgx.Rows, err error) {
	err = r.try(ctx, func() error { rows, err = r.Pool.Query(ctx, sql, args...); return err })
	return rows, err
}

// QueryRow asks for one row, when that is read.
func (r room) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return lazyRow(func(dest ...any) error {
		return r.try(ctx, func() error { return r.Pool.QueryRow(ctx, sql, args...).Scan(dest...) })
	})
}

// lazyRow is a row that is asked for when it is read.
type lazyRow func(dest ...any) error

// Scan asks for the row and reads it.
func (l lazyRow) Scan(dest ...any) error { return l(dest...) }
