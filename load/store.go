// Package load takes pages to Postgres and keeps the books: which slices are due, who holds them, how far each list
// has been walked, and what was published.
//
// The way of a slice is lease → walk → publish.
//
//   - A lease is a row in Postgres with an expiry and a fence, a number that goes up with each lease. Any number of
//     processes take due slices with FOR UPDATE SKIP LOCKED. Every later write of the walk checks the fence, in its
//     own transaction: a process that froze past its lease and wakes up can write nothing any more.
//   - A walk stages pages. The rows of a page and the cursor behind it go in with one transaction, so that a process
//     killed at any moment asks for at most one page a list again. The stage is an unlogged table of the walk's own:
//     no reader looks there, a crash of Postgres empties it, and a count of its rows against the checkpoint finds that out.
//   - A walk may cover a span, neighbouring slices of a stream that are asked for by one question: a small fleet need not
//     cost a request a day. What they share is the walk; lease, fence and publish are each slice's own (span.go).
//   - A walk of one large slice is cut by time into lists that are walked side by side: pages of one list come one after the
//     other, and there may be tens of thousands (cut.go).
//   - A publish moves the whole slice into the facts in one transaction: readers see all of it or nothing. A slice
//     that says what it said before (equal digests) writes no fact row at all.
//
// Leases run on the database's clock, which all processes share. Everything about usage (what is due, what is settled)
// runs on the time that the caller hands in.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is the warehouse, opened.
type Store struct {
	pool  room
	log   *slog.Logger
	owner string
	lease time.Duration

	listRows int64
	patience time.Duration
	conns    sync.Map // the open connections, each a net.Conn
	stop     context.CancelFunc
	watcher  sync.WaitGroup

	series     *seriesCache
	units      *unitCache
	partitions nameSet
	held       heldSet
	runs       chan *run
	leasing    sync.Mutex
	drifts     driftSet
}

// Options of Open.
type Options struct {
	// Owner names this process in leases, for people: host, process id, time of start. It must differ between processes.
	Owner string
	// Lease is how long a slice stays ours without a sign of life. Default 60 s.
	Lease time.Duration
	// Conns bounds the connections, unless the address does, with pool_max_conns. Default 8.
	Conns int32
	// Patience is how long a database that cannot be reached is waited for. Default a minute.
	Patience time.Duration
	// Silence is how long Postgres may answer nothing before its connections are given up. Default 5 minutes.
	Silence time.Duration
	// ListRows is how many rows a list is expected to have at least that is a piece of a slice (cut.go). Default 20,000.
	ListRows int64
	// Kept is told how many bytes the store keeps until it is closed beyond what it keeps of a usual fleet, whenever they become
	// more: a memory limit that is meant for what comes and goes can follow. Nil tells nobody.
	Kept func(bytes int64)
	// Dial replaces how connections are made; nil for the network.
	Dial pgconn.DialFunc
	Log  *slog.Logger
}

// ErrDatabaseURL says that DATABASE_URL cannot be read: a matter of configuration, not of the network.
var ErrDatabaseURL = errors.New("not a Postgres address: want postgres://user:password@host:5432/database, with @ as %40, / as %2F, ? as %3F and # as %23 in the password")

// Open connects to the warehouse at url. It tries for a while, so that a database that is just starting is no error.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	cfg, err := ParseURL(url)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.Contains(url, "pool_max_conns"): // the address is for one database, and knows what that has room for
	case opts.Conns > 0:
		cfg.MaxConns = opts.Conns
	default:
		cfg.MaxConns = 8
	}
	if opts.Dial != nil {
		cfg.ConnConfig.DialFunc = opts.Dial
	}
	if opts.Lease == 0 {
		opts.Lease = time.Minute
	}
	if opts.Patience == 0 {
		opts.Patience = time.Minute
	}
	if opts.Silence == 0 {
		opts.Silence = defaultSilence
	}
	if opts.ListRows == 0 {
		opts.ListRows = listRows
	}
	s := &Store{log: opts.Log, owner: opts.Owner, lease: opts.Lease, listRows: opts.ListRows, patience: opts.Patience, series: newSeriesCache(opts.Kept), units: newUnitCache(), runs: newRuns()}
	s.watched(cfg)
	s.pool.patience = s.patience
	if s.pool.Pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("connect to Postgres at %s: %w", address(cfg.ConnConfig), err)
	}
	if err := s.Await(ctx); err != nil {
		s.pool.Close()
		return nil, err
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.watcher.Go(func() { s.watch(watching, opts.Silence) })
	return s, nil
}

// ParseURL reads a database address without connecting. Its error never shows the password.
func ParseURL(url string) (*pgxpool.Config, error) {
	scheme, _, isURL := strings.Cut(url, "://")
	if isURL && !strings.Contains(scheme, "=") && scheme != "postgres" && scheme != "postgresql" || !isURL && !strings.Contains(url, "=") {
		return nil, ErrDatabaseURL
	}
	cfg, err := pgxpool.ParseConfig(url)
	// An @ there is of a password that is not escaped, and would be shown.
	if err != nil || strings.LastIndex(cfg.ConnConfig.Host, "@") > 0 || strings.Contains(cfg.ConnConfig.Database, "@") {
		return nil, ErrDatabaseURL
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	if !strings.Contains(url, "default_query_exec_mode") {
		// Named prepared statements do not survive a transaction pooler; unnamed ones do.
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	cfg.PingTimeout = 10 * time.Second // of a connection that was idle: one that is dead is replaced
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "simusage"
	}
	return cfg, nil
}

// Await waits until Postgres answers, for as long as the store's patience lasts. What cannot heal by waiting (a wrong
// password, no such database) is told at once. All processes lose Postgres at the same moment, and must not come back at
// the same moment.
func (s *Store) Await(ctx context.Context) error {
	deadline := time.Now().Add(s.patience)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 3*time.Second) {
		bounded, cancel := context.WithDeadline(ctx, deadline)
		err := s.pool.Ping(bounded)
		cancel()
		if err == nil {
			return nil
		}
		if refused(err) || ctx.Err() != nil || time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("connect to Postgres at %s: %w", address(s.pool.Config().ConnConfig), plain(err))
		}
		if err := sleep(ctx, pause/2+rand.N(pause/2)); err != nil {
			return err
		}
	}
}

// ErrRefused says that Postgres answered and does not let us in: a matter of configuration.
var ErrRefused = errors.New("the connection is refused by Postgres")

// refused says whether Postgres itself turned us down: bad password (class 28), no such database (3D).
func refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "28") || strings.HasPrefix(pg.Code, "3D"))
}

// plain is a connection error without the address and user that pgx repeats in it.
func plain(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case strings.HasPrefix(pg.Code, "3D"):
			return fmt.Errorf("%w: %s; make it first, or correct the address", ErrRefused, pg.Message)
		case refused(err):
			return fmt.Errorf("%w: %s; check user and password of the address", ErrRefused, pg.Message)
		case pg.Code == "53300":
			return fmt.Errorf("%s; run fewer processes at once, give each fewer connections (pool_max_conns=4 in the address), or let Postgres have more (max_connections)", pg.Message)
		}
		return errors.New(pg.Message)
	}
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return fmt.Errorf("look up the host %q: %s", dns.Name, dns.Err)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errSilent
	}
	return err
}

// address is host:port/database, for messages: never a password.
func address(c *pgx.ConnConfig) string {
	return fmt.Sprintf("%s/%s", net.JoinHostPort(c.Host, fmt.Sprint(c.Port)), c.Database)
}

// Close gives the connections back.
func (s *Store) Close() {
	s.stop()
	s.watcher.Wait()
	s.pool.Close()
}

// Owner is the name under which this process holds leases.
func (s *Store) Owner() string { return s.owner }

// Lost says whether err is the loss of the connection rather than an answer of Postgres: worth another try.
func Lost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Class 57: the server is shutting down or was told to end this connection; 25P03: it was idle in a transaction.
		// 40: deadlock, serialization. 53300: no room for another connection. 08: a pooler has lost its server.
		return strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "40") || strings.HasPrefix(pg.Code, "08") ||
			pg.Code == "53300" || pg.Code == "25P03"
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true // connect_timeout too, which is a deadline of pgx's own
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errSilent) || pgconn.SafeToRetry(err)
}

// errSilent says that Postgres did not answer in the time that we had for it.
var errSilent = errors.New("no answer from Postgres")

// Broken says whether err is an answer of Postgres that the next slice would get too: no right, no such table, disk
// full, read-only. The rows of one slice are not at fault.
func Broken(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return false
	}
	switch pg.Code[:2] {
	case "25", "28", "3D", "3F", "42", "53", "54", "58", "XX":
		return true
	}
	return false
}

// begin opens a transaction that Postgres itself ends when its client falls silent. A machine that loses power in the
// middle of a transaction says no goodbye: Postgres would keep its locks for as long as TCP takes to notice (hours), and
// the row of a slice that is locked is skipped by everybody who looks for one to take over.
const begin = `BEGIN; SET LOCAL idle_in_transaction_session_timeout = '60s'`

// inTx runs f in one transaction: committed when f returns nil, rolled back otherwise.
func (s *Store) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: begin}, f)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
