package load

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A server that is frozen, or a network that swallows everything, keeps its connections and answers nothing: a statement that
// will never be answered looks like a slow one. A slow one may take as long as it needs (a publish of millions of rows takes
// minutes), so no statement has a limit of its own. What tells the two apart is a ping on another connection: a server that is
// there answers it at any time, even while all tables are locked. When it does not, again and again, the connections are
// closed, and to whoever waits they are lost like any other.

// defaultSilence is how long Postgres may answer nothing.
const defaultSilence = 5 * time.Minute

// watched lets the store know the connections of its pool.
func (s *Store) watched(cfg *pgxpool.Config) {
	cfg.AfterConnect = func(_ context.Context, c *pgx.Conn) error {
		s.conns.Store(c.PgConn().Conn(), nil)
		return nil
	}
	cfg.BeforeClose = func(c *pgx.Conn) { s.conns.Delete(c.PgConn().Conn()) }
}

// watch closes the connections whenever Postgres has been silent for too long, until ctx ends. Pings are counted instead of
// time: a process that was frozen itself has not asked meanwhile.
func (s *Store) watch(ctx context.Context, silence time.Duration) {
	const most = 5
	tick := time.NewTicker(silence / most)
	defer tick.Stop()
	for missed := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if missed++; s.answers(ctx, silence/most) {
			missed = 0
		}
		if missed == most {
			s.log.Error("Postgres does not answer, its connections are given up", "silent_for", silence)
			s.conns.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
			missed = 0
		}
	}
}

// answers says whether Postgres says anything at all, were it that there is no room for another connection. It asks on a
// connection of its own: those of the pool may all be at work.
func (s *Store) answers(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return errors.As(err, new(*pgconn.PgError))
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx) == nil
}
