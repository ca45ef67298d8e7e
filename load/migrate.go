package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	driver "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"simusage/migrations"
)

// ErrSchema says that the database's schema is not the one of this program.
var ErrSchema = errors.New("schema")

// minPostgres is the oldest server that has what the schema needs.
const minPostgres = 150000

// Schema is what of the program's schema a database has.
type Schema struct {
	Version, Latest int  // migrations applied, and known to this program
	Dirty           bool // another program began a migration and did not note its end
	Views           bool // the views are the ones of this program

	views string // their digest
}

// Err says what is wrong with the schema and what to do, or nil.
func (s Schema) Err() error {
	switch {
	case s.Dirty:
		return fmt.Errorf("%w: another program began migration %d and did not note its end; restore the database, or set simusage.schema_migrations to the version that its tables have, and dirty to false; then run: simusage migrate", ErrSchema, s.Version)
	case s.Version == 0:
		return fmt.Errorf("%w: this database was never migrated; run: simusage migrate", ErrSchema)
	case s.Version > s.Latest:
		return fmt.Errorf("%w: the database is at version %d, newer than this program, which knows %d; use the newer program", ErrSchema, s.Version, s.Latest)
	case s.Version < s.Latest:
		return fmt.Errorf("%w: the database is at version %d, this program needs %d; run: simusage migrate", ErrSchema, s.Version, s.Latest)
	case !s.Views:
		return fmt.Errorf("%w: the views are not the ones of this program; run: simusage migrate", ErrSchema)
	}
	return nil
}

// Schema reads what the database has. It changes nothing.
func (s *Store) Schema(ctx context.Context) (Schema, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return Schema{}, err
	}
	defer conn.Release()
	return readSchema(ctx, conn.Conn())
}

func readSchema(ctx context.Context, conn *pgx.Conn) (Schema, error) {
	state := Schema{Latest: latest()}
	err := conn.QueryRow(ctx, `SELECT version, dirty FROM simusage.schema_migrations`).Scan(&state.Version, &state.Dirty)
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows), errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "3F000"):
		return state, nil
	case errors.As(err, &pg) && pg.Code == "42501":
		return state, fmt.Errorf("%w: this role may not read simusage.schema_migrations; run as the role that migrated, or grant it schema simusage", ErrSchema)
	case err != nil:
		return state, fmt.Errorf("read the schema's version: %w", err)
	}
	if state.Version > 0 && !state.Dirty {
		err := conn.QueryRow(ctx, `SELECT digest FROM simusage.view_install`).Scan(&state.views)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return state, fmt.Errorf("read the digest of the views: %w", err)
		}
	}
	for _, citus := range []bool{false, true} {
		_, digest, err := viewFiles(citus)
		if err != nil {
			return state, err
		}
		state.Views = state.Views || state.views == digest
	}
	return state, nil
}

// latest is the number of the newest migration that the program has.
func latest() int {
	names, _ := fs.Glob(migrations.Files, "*.up.sql")
	newest := 0
	for _, name := range names {
		newest = max(newest, number(name))
	}
	return newest
}

// number is the version that a migration leads to, by its file's name.
func number(file string) int {
	digits, _, _ := strings.Cut(file, "_")
	n, _ := strconv.Atoi(digits) // golang-migrate reads the same names, and refuses others
	return n
}

// Migrate brings the database at url to the program's schema: the migrations, then the views and rights as a whole. It
// is safe to run again, and by several processes at once: they take turns. Where views of somebody else are in the way, it
// changes nothing.
func Migrate(ctx context.Context, url string) (_ Schema, err error) {
	defer func() { err = forbidden(err) }()
	conn, before, err := turn(ctx, url)
	if err != nil {
		return before, err
	}
	defer over(ctx, conn)
	moved, err := spreadTables(ctx, conn)
	if err != nil {
		return before, err
	}
	return migrateIn(ctx, conn, before, len(moved) > 0)
}

// migrateIn is Migrate by whose turn it is, on plain Postgres or on Citus.
func migrateIn(ctx context.Context, conn *pgx.Conn, before Schema, citus bool) (_ Schema, err error) {
	if _, err := conn.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS simusage`); err != nil {
		return before, fmt.Errorf("migrate: %w", err)
	}
	if before.Version < before.Latest {
		if err := rehearse(ctx, conn, before.Version, citus); err != nil {
			return before, err
		}
		if err := up(ctx, conn.Config()); err != nil {
			return before, err
		}
	}
	_, views, err := viewFiles(citus)
	if err != nil {
		return before, err
	}
	if before.Version == before.Latest && before.views == views {
		err = installRights(ctx, conn) // a role that was made since gets its rights; no view is touched
	} else {
		err = installViews(ctx, conn, citus)
	}
	if err == nil && citus {
		err = shareRights(ctx, conn)
	}
	if err != nil {
		return before, err
	}
	return readSchema(ctx, conn)
}

// turn connects to the database, waits for its turn, and reads the schema, of which this program knows all. Even CREATE SCHEMA
// IF NOT EXISTS fails when two do it at once.
func turn(ctx context.Context, url string) (_ *pgx.Conn, before Schema, err error) {
	cfg, err := ParseURL(url)
	if err != nil {
		return nil, before, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return nil, before, fmt.Errorf("connect to Postgres at %s: %w", address(cfg.ConnConfig), plain(err))
	}
	defer func() {
		if err != nil {
			over(ctx, conn)
		}
	}()
	var server int
	if err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&server); err != nil {
		return nil, before, fmt.Errorf("read the server's version: %w", err)
	}
	if server < minPostgres {
		return nil, before, fmt.Errorf("%w: Postgres %d is too old; 15 or newer is needed", ErrSchema, server/10000)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtext('simusage.migrate'))`); err != nil {
		return nil, before, fmt.Errorf("wait for another migrate: %w", err)
	}
	if before, err = readSchema(ctx, conn); err != nil {
		return nil, before, err
	}
	if before.Dirty || before.Version > before.Latest {
		return nil, before, before.Err()
	}
	return conn, before, nil
}

// over ends the turn. The lock would end with the connection, but a pooler keeps that for others.
func over(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	conn.Exec(ctx, `SELECT pg_advisory_unlock(hashtext('simusage.migrate'))`)
	conn.Close(ctx)
}

// forbidden makes what a role has no right to a matter of configuration.
func forbidden(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "42501" {
		return err
	}
	return fmt.Errorf("%w: this role may not change it: %s; migrate as the owner of the database, who may also GRANT CREATE ON DATABASE to this role", ErrSchema, pg.Message)
}

// up runs the migrations that are missing. golang-migrate holds a session lock meanwhile, hence MIGRATE_DATABASE_URL for
// databases behind a transaction pooler.
func up(ctx context.Context, cfg *pgx.ConnConfig) error {
	m, err := migration(cfg)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer m.Close()
	stop := context.AfterFunc(ctx, func() { m.GracefulStop <- true })
	defer stop()
	for tries := 1; ; tries++ {
		err := m.Up()
		if err == nil || errors.Is(err, migrate.ErrNoChange) {
			return ctx.Err()
		}
		// A sync that goes on may wait for the migration while that waits for it, and Postgres gives one of them up; Citus always
		// the one that began last, which is this one.
		if !deadlocked(err) || tries == 20 || sleep(ctx, rand.N(time.Duration(tries)*100*time.Millisecond)) != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
}

func deadlocked(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "40P01"
}

// noted is a driver that notes the version in the transaction of its migration. So the version is what the schema is, whatever
// becomes of the migration and of the connection. golang-migrate by itself notes it before and after, and leaves to people
// what was lost in between.
type noted struct {
	database.Driver
	version int
}

// SetVersion remembers the version that the next migration leads to.
func (n *noted) SetVersion(version int, _ bool) error {
	n.version = version
	return nil
}

// Run runs a migration, which is a transaction because it is sent as one.
func (n *noted) Run(migration io.Reader) error {
	note := "\n;DELETE FROM simusage.schema_migrations"
	if n.version != database.NilVersion {
		note += fmt.Sprintf(";INSERT INTO simusage.schema_migrations (version, dirty) VALUES (%d, false)", n.version)
	}
	err := n.Driver.Run(io.MultiReader(migration, strings.NewReader(note)))
	if failed := (database.Error{}); errors.As(err, &failed) { // its own text has all of the migration in it
		err = fmt.Errorf("to version %d: %w", n.version, failed.OrigErr)
	}
	return err
}

func migration(cfg *pgx.ConnConfig) (*migrate.Migrate, error) {
	files, err := iofs.New(migrations.Files, ".")
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*cfg)
	into, err := driver.WithInstance(db, &driver.Config{SchemaName: "simusage", MigrationsTable: `"simusage"."schema_migrations"`, MigrationsTableQuoted: true})
	if err != nil {
		db.Close()
		return nil, err
	}
	return migrate.NewWithInstance("iofs", files, "pgx5", &noted{Driver: into})
}
