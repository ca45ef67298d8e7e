package load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/migrations"
	"simusage/sql"
)

// The views are installed as a whole, in one transaction. A view is replaced in place where Postgres allows that (it only
// gained columns at its end), so that other people's views on top of it go on working. Where it does not, all of ours are
// dropped and made again, never with CASCADE: somebody's view on top stops that, and nothing is changed. Migrations come
// before the views and are committed one by one, so when there are such views, all of it is tried first in a transaction
// that is given up.

// viewFile is one file of package sql.
type viewFile struct{ name, text string }

// viewFiles are the views in the order of their installation, with the rights at the end, and the digest of it all. On Citus
// some views are then replaced by others that show the same.
func viewFiles(citus bool) ([]viewFile, string, error) {
	hash := sha256.New()
	var files []viewFile
	patterns := []string{"base/*.sql", "views/*.sql", "rights.sql"}
	if citus {
		patterns = append(patterns, "citus/*.sql")
	}
	for _, pattern := range patterns {
		names, err := fs.Glob(sql.Files, pattern)
		if err != nil {
			return nil, "", err
		}
		for _, name := range names {
			text, err := fs.ReadFile(sql.Files, name)
			if err != nil {
				return nil, "", err
			}
			fmt.Fprintf(hash, "%s\n%s\n", name, text)
			files = append(files, viewFile{name, string(text)})
		}
	}
	return files, hex.EncodeToString(hash.Sum(nil)), nil
}

// view is the view that the file makes; false for the rights, and for what replaces a view.
func (f viewFile) view() (pgx.Identifier, bool) {
	schema, found := map[string]string{"base": "simusage", "views": "usage"}[path.Dir(f.name)]
	return pgx.Identifier{schema, strings.TrimSuffix(path.Base(f.name), ".sql")}, found
}

// beginner is what a connection and a transaction have in common: they begin a transaction.
type beginner interface {
	Begin(context.Context) (pgx.Tx, error)
}

func installViews(ctx context.Context, conn *pgx.Conn, citus bool) error {
	err := replaceViews(ctx, conn, citus)
	if inTheWay(err) {
		return refuseViews(ctx, conn, err)
	}
	if err != nil {
		return fmt.Errorf("install the views: %w", err)
	}
	return nil
}

// rehearse tries the migrations after the version and then the views, where views of others stand on ours, and changes
// nothing. What else may be wrong the migration itself will say.
func rehearse(ctx context.Context, conn *pgx.Conn, version int, citus bool) error {
	if others, err := otherViews(ctx, conn); err != nil || len(others) == 0 {
		return err
	}
	names, err := fs.Glob(migrations.Files, "*.up.sql")
	if err != nil {
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("try the upgrade: %w", err)
	}
	for _, name := range names {
		if number(name) <= version || err != nil {
			continue
		}
		var text []byte
		if text, err = fs.ReadFile(migrations.Files, name); err == nil {
			_, err = tx.Exec(ctx, string(text), pgx.QueryExecModeSimpleProtocol)
		}
	}
	if err == nil {
		err = replaceViews(ctx, tx, citus)
	}
	if back := tx.Rollback(ctx); back != nil {
		return fmt.Errorf("give up the trial of the upgrade: %w", back)
	}
	if inTheWay(err) {
		return refuseViews(ctx, conn, err)
	}
	return nil
}

// inTheWay says whether something that is not ours stands on a view that must be dropped.
func inTheWay(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "2BP01" // dependent_objects_still_exist
}

// refuseViews says what is in the way, in one line.
func refuseViews(ctx context.Context, conn *pgx.Conn, why error) error {
	others, err := otherViews(ctx, conn)
	if err != nil {
		return err
	}
	if len(others) == 0 { // a function, say: Postgres knows
		var pg *pgconn.PgError
		errors.As(why, &pg)
		others = []string{strings.ReplaceAll(pg.Detail, "\n", "; ")}
	}
	return fmt.Errorf("%w: this upgrade must make views anew that others stand on: %s; drop those, run simusage migrate again, then make them again; nothing was changed",
		ErrSchema, strings.Join(others, ", "))
}

// otherViews are the views of others that stand on ours, and on each other: "public.mine on usage.sim_daily".
func otherViews(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	files, _, err := viewFiles(false)
	if err != nil {
		return nil, err
	}
	var ours []string
	for _, f := range files {
		if view, found := f.view(); found {
			ours = append(ours, strings.Join(view, "."))
		}
	}
	rows, err := conn.Query(ctx, `WITH RECURSIVE relation AS (
			SELECT c.oid, n.nspname || '.' || c.relname AS name, n.nspname || '.' || c.relname = ANY ($1::text[]) AS ours
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		), other AS (
			SELECT oid, NULL::oid AS stands_on FROM relation WHERE ours
			UNION
			SELECT r.ev_class, other.oid
			FROM other
			JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = other.oid AND d.classid = 'pg_rewrite'::regclass
			JOIN pg_rewrite r ON r.oid = d.objid
			WHERE r.ev_class IN (SELECT oid FROM relation WHERE NOT ours)
		)
		SELECT above.name || ' on ' || below.name
		FROM other JOIN relation above ON above.oid = other.oid JOIN relation below ON below.oid = other.stands_on
		WHERE above.oid <> below.oid
		ORDER BY 1`, ours)
	if err == nil {
		ours, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return nil, fmt.Errorf("look for views of others: %w", err)
	}
	return ours, nil
}

// replaceViews replaces the views in place, or else drops them and makes them again.
func replaceViews(ctx context.Context, db beginner, citus bool) error {
	files, digest, err := viewFiles(citus)
	if err != nil {
		return err
	}
	err = runViews(ctx, db, files, digest, false)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P16" { // invalid_table_definition: not the same columns
		err = runViews(ctx, db, files, digest, true)
	}
	return err
}

func runViews(ctx context.Context, db beginner, files []viewFile, digest string, drop bool) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('simusage.views'))`); err != nil {
			return err
		}
		if drop {
			if err := dropViews(ctx, tx, files); err != nil {
				return err
			}
		}
		for _, f := range files {
			if _, err := tx.Exec(ctx, f.text, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO simusage.view_install (digest, installed_at) VALUES ($1, now())
			ON CONFLICT (only_one) DO UPDATE SET digest = excluded.digest, installed_at = excluded.installed_at`, digest)
		return err
	})
}

// dropViews drops our views, those of readers first, because they stand on the others.
func dropViews(ctx context.Context, tx pgx.Tx, files []viewFile) error {
	for i := len(files) - 1; i >= 0; i-- {
		view, found := files[i].view()
		if !found {
			continue
		}
		if _, err := tx.Exec(ctx, `DROP VIEW IF EXISTS `+view.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}

func installRights(ctx context.Context, conn *pgx.Conn) error {
	rights, err := fs.ReadFile(sql.Files, "rights.sql")
	if err == nil {
		_, err = conn.Exec(ctx, string(rights), pgx.QueryExecModeSimpleProtocol)
	}
	if err != nil {
		return fmt.Errorf("install the rights: %w", err)
	}
	return nil
}

// Readers says whether there is the role that may read the views.
func (s *Store) Readers(ctx context.Context) (there bool, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'usage_reader')`).Scan(&there); err != nil {
		return false, fmt.Errorf("look for the role of readers: %w", err)
	}
	return there, nil
}

// Pooled says whether a pooler stands between us and Postgres: it gives out numbers of its own for the processes behind it.
func (s *Store) Pooled(ctx context.Context) (bool, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	var behind uint32
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()::bigint`).Scan(&behind); err != nil {
		return false, fmt.Errorf("look for a pooler: %w", err)
	}
	return conn.Conn().PgConn().PID() != behind, nil
}
