package load

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/extract"
)

// Hours are nine tenths of a warehouse, and after some months few ask for them. Trim drops them month by month, as whole
// partitions: that gives the room back at once and leaves no dead rows. Days, months, names, books and restatements stay.
//
// Nothing may go that is not safe elsewhere. So a month's hours go only when all of its slices are final (trimSQL says what
// that is) and when each series' day is, to the byte and to the last digit of money, the sum of its hours. What does not
// fulfil this stays, and the reason is told.
//
// That proof takes as long as reading the month does, and locks nothing: it holds as long as no slice is published, which the
// books tell. The drop itself takes a moment. It locks the table first, so that nobody is writing into the month, looks
// whether the books still say what they said before the proof, and marks the slices (trimmed_at) in the same transaction. A
// process that is killed has dropped and marked a month, or has done neither.
//
// The lock is one that readers and publishes of any month wait behind. It is asked for only for moments, again and again.

// TrimmedMonth is a month that is old enough to lose its hours, and what becomes of it.
type TrimmedMonth struct {
	Month       time.Time
	Slices      int    // that have hours, or could have
	Rows, Bytes int64  // of the hours
	Kept        string // why they stay; empty when they may go, or are gone
}

// Trim drops the hours of the months before a time, oldest first, and tells of each; without drop it only says what it would
// do. now is the caller's clock.
func (s *Store) Trim(ctx context.Context, before, now time.Time, drop bool, tell func(TrimmedMonth)) error {
	months, err := s.hourlyMonths(ctx)
	if err != nil {
		return fmt.Errorf("look for the months that have hours: %w", err)
	}
	for _, month := range months {
		if month.AddDate(0, 1, 0).After(before) {
			break
		}
		m, err := s.trimMonth(ctx, month, now, drop)
		if err != nil {
			if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == "42501" {
				err = fmt.Errorf("%w: this role may not do it: %s; run this as the owner of the tables, as migrate", ErrSchema, pg.Message)
			}
			return fmt.Errorf("trim %s: %w", month.Format("2006-01"), err)
		}
		tell(m)
	}
	return nil
}

// hourlyMonths are the months that have a partition for hours, by its name, in order.
func (s *Store) hourlyMonths(ctx context.Context) ([]time.Time, error) {
	rows, err := s.pool.Query(ctx, `SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'simusage.usage_hourly'::regclass ORDER BY relname`)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	var months []time.Time
	for _, name := range names {
		if month, err := time.Parse(hourlyName, name); err == nil { // else somebody's own
			months = append(months, month)
		}
	}
	return months, err
}

// hourlyName is the layout of the names of partitions for hours.
const hourlyName = "usage_hourly_2006_01"

// trimMonth proves that the hours of a month may go, and lets them go.
func (s *Store) trimMonth(ctx context.Context, month, now time.Time, drop bool) (TrimmedMonth, error) {
	m := TrimmedMonth{Month: month}
	books, err := s.readBooks(ctx, month, now)
	if err != nil {
		return m, fmt.Errorf("look at the slices: %w", err)
	}
	m.Slices, m.Kept = len(books), books.kept()
	for day := month; m.Kept == "" && day.Before(month.AddDate(0, 1, 0)); day = day.AddDate(0, 0, 1) {
		var rows int64
		if rows, m.Kept, err = s.holdDay(ctx, day, books); err != nil {
			return m, fmt.Errorf("hold the hours of %s against their day: %w", day.Format(time.DateOnly), err)
		}
		m.Rows += rows
	}
	if m.Kept != "" {
		if now, err := s.readBooks(ctx, month, now); err == nil && len(now) != len(books) {
			m.Kept = errMoved.Error() // somebody else has trimmed it meanwhile
		}
		return m, nil
	}
	table := month.Format("simusage." + hourlyName)
	if err := s.pool.QueryRow(ctx, `SELECT coalesce(pg_total_relation_size(to_regclass($1)), 0)`, table).Scan(&m.Bytes); err != nil {
		return m, fmt.Errorf("measure the hours: %w", err)
	}
	if drop {
		m.Kept, err = s.dropHours(ctx, month, books)
	}
	return m, err
}

// busySQL says of simusage.slice AS s that somebody works on it, or is to.
const busySQL = `(s.walk_started_at IS NOT NULL OR s.walk_leader IS NOT NULL OR coalesce(s.lease_expires_at > clock_timestamp(), false) OR s.held_at IS NOT NULL OR s.doubted)`

// trimSQL lists the slices of a month, $1 to $2, that have their hours, and what keeps them. Final is what is published, settled,
// understood, and agrees with the total, if only by the remainder that the views show. Where no total was asked for there is
// none to agree with. What the API has forgotten ($3 is the wall) gets no better by waiting.
const trimSQL = `SELECT s.id, s.stream_id, coalesce(rest.id, 0), concat_ws(' ', nullif(account.name, ''), stream.name), s.window_start, s.published_at, s.remainder,
		CASE WHEN s.held_at IS NOT NULL THEN 'is held back'
			WHEN s.doubted THEN 'is in doubt'
			WHEN ` + busySQL + ` THEN 'is being loaded'
			WHEN s.window_end > $3 AND s.published_at IS NULL AND s.window_start < coalesce(account.ends_at, 'infinity') THEN 'was never loaded'
			WHEN s.window_end > $3 AND s.published_at IS NOT NULL AND NOT s.settled THEN 'is not settled'
			WHEN s.window_end > $3 AND EXISTS (SELECT FROM simusage.rejected WHERE rejected.slice_id = s.id) THEN 'has records that were set aside'
			WHEN NOT r.reconciled AND (r.unattributed = 0 OR r.unattributed <> -r.difference) THEN 'does not agree with the total'
			WHEN r.reconciled IS NULL AND s.published_at IS NOT NULL AND (t.published_at IS NOT NULL OR t.window_end > $3) THEN 'was not held against the total'
			ELSE '' END
	FROM simusage.slice s
	JOIN simusage.stream ON stream.id = s.stream_id
	JOIN simusage.account ON account.id = stream.account_id
	LEFT JOIN simusage.stream rest ON rest.remainder_of = stream.id
	LEFT JOIN usage.reconciliation r ON r.account = account.name AND r.stream = stream.name AND r.window_start = s.window_start
	LEFT JOIN simusage.stream total ON total.account_id = stream.account_id AND total.granularity = stream.granularity
		AND total.filters = stream.filters AND total.grouping = 'total' AND total.id <> stream.id
	LEFT JOIN simusage.slice t ON t.stream_id = total.id AND t.window_start = s.window_start
	WHERE stream.granularity = 'hour' AND s.window_start >= $1 AND s.window_start < $2 AND s.trimmed_at IS NULL
	ORDER BY s.window_start, s.stream_id`

// book is a slice as its row says it.
type book struct {
	ID           int64
	Stream, Rest int16 // Rest is the stream of its remainders, 0 for none
	Name         string
	Start        time.Time
	Published    *time.Time
	Remainder    *string
	Why          string // its hours may not go; empty when they may
}

type books []book

func (s *Store) readBooks(ctx context.Context, month, now time.Time) (books, error) {
	rows, err := s.pool.Query(ctx, trimSQL, month, month.AddDate(0, 1, 0), extract.Wall(now))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[book])
}

// kept is why the hours may not go: the first reason, and how many slices have one.
func (all books) kept() (why string) {
	more := -1
	for _, b := range all {
		if b.Why == "" {
			continue
		}
		if more++; more == 0 {
			why = fmt.Sprintf("%s %s %s", b.Name, b.Start.UTC().Format(time.DateOnly), b.Why)
		}
	}
	if more > 0 {
		why += fmt.Sprintf(", and %d more", more)
	}
	return why
}

//go:embed trim.sql
var holdSQL string

// holdDay counts the hours of a day, and says what keeps them: series that do not sum up to what is rolled up.
func (s *Store) holdDay(ctx context.Context, day time.Time, all books) (hours int64, kept string, err error) {
	var streams []int16
	names := make(map[int16]string)
	for _, b := range all {
		if b.Start.Equal(day) && b.Published != nil {
			streams = append(streams, b.Stream, b.Rest)
			names[b.Stream], names[b.Rest] = b.Name, b.Name+" (remainder)"
		}
	}
	rows, err := s.pool.Query(ctx, holdSQL, pgx.QueryExecModeSimpleProtocol, day, day.AddDate(0, 0, 1), day, streams)
	if err != nil {
		return 0, "", err
	}
	var stream int16
	var n, unequal int64
	_, err = pgx.ForEachRow(rows, []any{&stream, &n, &unequal}, func() error {
		if hours += n; unequal > 0 && kept == "" {
			if names[stream] == "" {
				names[stream] = fmt.Sprintf("stream %d, which has no such slice,", stream)
			}
			kept = fmt.Sprintf("%s %s: of %d series the hours do not sum up to the day", names[stream], day.Format(time.DateOnly), unequal)
		}
		return nil
	})
	return hours, kept, err
}

// dropHours tries to drop the hours until it gets the lock, for as long as the store's patience lasts. It waits for less than a
// second each time, because all who come later wait behind it, and then leaves them three times as long to themselves.
func (s *Store) dropHours(ctx context.Context, month time.Time, all books) (kept string, err error) {
	deadline := time.Now().Add(s.patience)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 800*time.Millisecond) {
		err := s.dropOnce(ctx, month, all, wait)
		pg := (*pgconn.PgError)(nil)
		switch {
		case errors.Is(err, errMoved):
			return err.Error(), nil
		case !errors.As(err, &pg) || pg.Code != "55P03" && pg.Code != "40P01":
			return "", err
		case time.Now().After(deadline):
			return s.inUse(ctx, month)
		}
		if err := sleep(ctx, 2*wait+rand.N(2*wait)); err != nil {
			return "", err
		}
	}
}

// inUse says that the hours could not be had, and who has them now.
func (s *Store) inUse(ctx context.Context, month time.Time) (kept string, err error) {
	var users string
	err = s.pool.QueryRow(ctx, `SELECT coalesce(string_agg(DISTINCT format('%s (%s)', pid, concat_ws(', ', usename, nullif(application_name, ''), nullif(backend_type, 'client backend'))), ', '), 'nobody')
		FROM pg_locks JOIN pg_stat_activity USING (pid)
		WHERE granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND relation IN ('simusage.usage_hourly'::regclass, to_regclass($1))`, month.Format("simusage."+hourlyName)).Scan(&users)
	if err != nil {
		return "", fmt.Errorf("look who uses the hours: %w", err)
	}
	return fmt.Sprintf("nothing is wrong with it, but the hours were in use all the time for %s, now by %s; run it again when that has ended", s.patience, users), nil
}

// errMoved says that the proof is of a month that is not the same any more.
var errMoved = errors.New("something was loaded while it was looked at; run it again")

// dropOnce drops the hours and marks the slices, or does nothing. DROP is the lock: it waits for all who write into the table
// or read it, and what they have committed is seen by what comes after.
func (s *Store) dropOnce(ctx context.Context, month time.Time, all books, wait time.Duration) error {
	all = slices.DeleteFunc(slices.Clone(all), func(b book) bool { return b.Published == nil })
	ids, published, remainders := make([]int64, len(all)), make([]time.Time, len(all)), make([]*string, len(all))
	for i, b := range all {
		ids[i], published[i], remainders[i] = b.ID, *b.Published, b.Remainder
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		for _, statement := range []string{ // one by one, for Citus
			fmt.Sprintf(`SET LOCAL lock_timeout = '%dms'`, wait.Milliseconds()),
			`SELECT pg_advisory_xact_lock(hashtext('simusage.partition'))`,
			`DROP TABLE IF EXISTS ` + pgx.Identifier{"simusage", month.Format(hourlyName)}.Sanitize(),
		} {
			if _, err := tx.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		// Why it could not be read again does not matter any more.
		tag, err := tx.Exec(ctx, `UPDATE simusage.slice s SET trimmed_at = now(), failures = 0, failed_at = NULL, last_error = NULL
			FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) AS seen (id, published_at, remainder)
			WHERE s.id = seen.id AND s.published_at = seen.published_at AND s.remainder IS NOT DISTINCT FROM seen.remainder AND NOT `+busySQL,
			ids, published, remainders)
		if err != nil {
			return err
		}
		var others bool
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM simusage.slice s JOIN simusage.stream ON stream.id = s.stream_id
			WHERE stream.granularity = 'hour' AND s.window_start >= $1 AND s.window_start < $2 AND s.published_at IS NOT NULL AND s.trimmed_at IS NULL)`,
			month, month.AddDate(0, 1, 0)).Scan(&others)
		if err == nil && (others || tag.RowsAffected() != int64(len(all))) {
			err = errMoved
		}
		return err
	})
}

// Trimmed is the time, from its first day to its last, of which hours of the streams were dropped, as far as it is in the window;
// empty for none.
func (s *Store) Trimmed(ctx context.Context, streams []Stream, w extract.Window) (extract.Window, error) {
	ids := make([]int16, len(streams))
	for i, st := range streams {
		ids[i] = st.ID
	}
	var from, until *time.Time
	err := s.pool.QueryRow(ctx, `SELECT min(window_start), max(window_end) FROM simusage.slice
		WHERE stream_id = ANY($1) AND trimmed_at IS NOT NULL AND window_start < $3 AND window_end > $2`, ids, w.Start, w.End).Scan(&from, &until)
	if err != nil || from == nil {
		return extract.Window{}, err
	}
	return utc(extract.Window{Start: *from, End: *until}), nil
}

// TrimmedDays are the days of a window of which the daily views of a family have lost the hours: what is there is final.
func (s *Store) TrimmedDays(ctx context.Context, a Account, family string, w extract.Window) (map[time.Time]bool, error) {
	rows, err := s.pool.Query(ctx, `SELECT window_start FROM simusage.slice
		JOIN simusage.feed ON feed.stream_id = slice.stream_id AND slice.window_start >= feed.valid_from AND slice.window_start < feed.valid_to
		WHERE feed.account_id = $1 AND feed.family = $2 AND feed.grain = 'day' AND trimmed_at IS NOT NULL AND window_start >= $3 AND window_start < $4`,
		a.ID, family, w.Start, w.End)
	days := make(map[time.Time]bool)
	if err == nil {
		var day time.Time
		_, err = pgx.ForEachRow(rows, []any{&day}, func() error { days[day.UTC()] = true; return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("look for days without hours: %w", err)
	}
	return days, nil
}
