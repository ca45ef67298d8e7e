package load

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// A day is rolled up in the transaction that publishes it. A month is not: each of its 30 slices would write all of its
// rows once more, which costs a first load a tenth of its speed, and the publishes of a month would wait for each other.
// It is rolled up once, when a run has published what there was, for each family of views as that family shows it: the
// twelve hundred rows that hour/sim@country has of a SIM and its countries in a month are one row of sim_monthly.
//
// Readers never see the difference: a month whose rollups do not know the last publish of each of its slices is summed
// from its days (see sql/base/usage_month.sql). So a run that ends early, or a program that knows nothing of months, makes
// the monthly views slower, not wrong.
//
// The rows of a rollup are facts of a stream of its own, which is never asked for (stream.rollup_of, stream.rollup_family).

//go:embed rollup/*.sql
var monthSQL embed.FS

// RollUp sums the months of the streams anew whose slices were published since they were rolled up last, and returns how
// many months it summed. Processes that do it at the same time begin with different streams, and leave out what others have
// done.
func (s *Store) RollUp(ctx context.Context, streams []DueStream) (months int, err error) {
	stale, err := s.staleMonths(ctx, streams)
	if err != nil || len(stale) == 0 {
		return 0, err
	}
	for _, st := range shuffled(streams) {
		if len(stale[st.ID]) == 0 {
			continue
		}
		n, err := s.rollUpStream(ctx, st)
		months += n
		if err != nil {
			return months, fmt.Errorf("roll up the months of %s: %w", st.Stream, err)
		}
	}
	return months, s.remindPartitions(ctx)
}

func (s *Store) rollUpStream(ctx context.Context, st DueStream) (months int, err error) {
	stale, err := s.staleMonths(ctx, []DueStream{st})
	if err != nil || len(stale[st.ID]) == 0 {
		return 0, err
	}
	rollups, err := s.rollups(ctx, st.Stream)
	for _, month := range stale[st.ID] {
		if err != nil {
			break
		}
		var mine bool
		if mine, err = s.rollUpMonth(ctx, st.Stream, rollups, month); mine {
			months++
		}
	}
	return months, err
}

// staleMonths are the months by stream that the views sum from their days, because no rollup knows all of them: those with slices
// that were published since (an index has these), and all of a stream that has no rollup yet for a family that reads it.
func (s *Store) staleMonths(ctx context.Context, streams []DueStream) (map[int16][]time.Time, error) {
	ids := make([]int16, len(streams))
	for i, st := range streams {
		ids[i] = st.ID
	}
	stale := make(map[int16][]time.Time)
	rows, err := s.pool.Query(ctx, `SELECT w.id, date_trunc('month', s.window_start AT TIME ZONE 'UTC')::date FROM unnest($1::smallint[]) AS w (id)
		CROSS JOIN LATERAL (SELECT window_start FROM simusage.slice WHERE stream_id = w.id AND rolled_up_for IS DISTINCT FROM published_at OFFSET 0) s
		UNION
		SELECT stream_id, month FROM simusage.settled_month WHERE stream_id = ANY(ARRAY(
			SELECT feed.stream_id FROM simusage.feed LEFT JOIN simusage.stream r ON r.rollup_of = feed.stream_id AND r.rollup_family = feed.family
			WHERE feed.stream_id = ANY($1) AND feed.grain = 'month' AND r.id IS NULL))
		ORDER BY 1, 2`, ids)
	if err == nil {
		var stream int16
		var month time.Time
		_, err = pgx.ForEachRow(rows, []any{&stream, &month}, func() error {
			stale[stream] = append(stale[stream], month.UTC())
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("look for months to roll up: %w", err)
	}
	return stale, nil
}

// rollup is what one family of views reads of a stream by month.
type rollup struct {
	ID     int16 // as a stream
	Family string
}

// rollups finds or makes the rollups of the families that the stream feeds by month. A new one begins empty, so all months
// are behind then.
func (s *Store) rollups(ctx context.Context, st Stream) ([]rollup, error) {
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO simusage.stream (account_id, name, granularity, grouping, filters, rollup_of, rollup_family)
		SELECT DISTINCT stream.account_id, stream.name || ' (' || feed.family || ' by month)', stream.granularity, 'rollup', stream.filters, stream.id, feed.family
		FROM simusage.stream JOIN simusage.feed ON feed.stream_id = stream.id AND feed.grain = 'month'
		LEFT JOIN simusage.stream r ON r.rollup_of = stream.id AND r.rollup_family = feed.family
		WHERE stream.id = $1 AND r.id IS NULL
		ON CONFLICT (account_id, name) DO NOTHING`, st.ID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := proofTurn(ctx, tx); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE simusage.slice SET rolled_up_for = NULL WHERE stream_id = $1 AND rolled_up_for IS NOT NULL`, st.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT id, rollup_family FROM simusage.stream WHERE rollup_of = $1 ORDER BY id`, st.ID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[rollup])
}

// rollUpMonth sums one month of a stream; false when somebody else is at it, or has been. The slices are marked before their
// days are read: one that is published meanwhile has either been skipped here, because its row is locked, or gets a publish
// that the mark is not of.
func (s *Store) rollUpMonth(ctx context.Context, st Stream, rollups []rollup, month time.Time) (mine bool, err error) {
	if err := s.meetPartitions(ctx, extract.Day, extract.Window{Start: month, End: month.AddDate(0, 1, 0)}); err != nil {
		return false, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtext('simusage.month'), hashtext($1))`, fmt.Sprint(st.ID, month)).Scan(&mine)
		if err != nil || !mine {
			return err
		}
		var unit int16 // of an account that nobody forgets meanwhile
		if err := tx.QueryRow(ctx, `SELECT billed_unit_id FROM simusage.account WHERE id = $1 FOR KEY SHARE`, st.Account.ID).Scan(&unit); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE simusage.slice SET rolled_up_for = published_at WHERE id IN (
			SELECT id FROM simusage.slice WHERE stream_id = $1 AND window_start >= $2 AND window_start < $3
				AND rolled_up_for IS DISTINCT FROM published_at FOR UPDATE SKIP LOCKED)`, st.ID, month, month.AddDate(0, 1, 0))
		if mine = err == nil && tag.RowsAffected() > 0; !mine {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id FROM simusage.stream WHERE id = $1 OR remainder_of = $1`, st.ID)
		if err != nil {
			return err
		}
		parts, err := pgx.CollectRows(rows, pgx.RowTo[int16])
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, planning); err != nil {
			return err
		}
		for _, r := range rollups {
			if err := r.sum(ctx, tx, st, parts, month, unit); err != nil {
				return err
			}
		}
		return nil
	})
	return mine && err == nil, err
}

// sum writes one month of one rollup: what is new, changed or gone. A family that shows just what the stream asks for has the
// stream's series; only where it sums over a dimension are there others, which are the rollup's.
func (r rollup) sum(ctx context.Context, tx pgx.Tx, st Stream, parts []int16, month time.Time, unit int16) error {
	if _, err := tx.Exec(ctx, `DROP TABLE IF EXISTS pg_temp.month`); err != nil {
		return err
	}
	owner := r.ID
	if len(r.dims()) == len(st.Dimensions()) {
		owner = st.ID
	}
	fill := r.columns(st.Granularity)
	for _, step := range []struct {
		name string
		args []any
	}{
		{"series", []any{owner, parts}},
		{"month", []any{owner, parts, month, month.AddDate(0, 1, 0), unit}},
		{"delete", []any{r.ID, month}},
		{"insert", []any{r.ID, month}},
	} {
		text, err := monthSQL.ReadFile("rollup/" + step.name + ".sql")
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, fill.Replace(string(text)), append([]any{pgx.QueryExecModeSimpleProtocol}, step.args...)...); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// dims are the dimensions that the family shows.
func (r rollup) dims() []extract.Dimension {
	i := slices.IndexFunc(families, func(f family) bool { return f.name == r.Family })
	return families[i].dims
}

// columns fills in where the days are, and which columns the family shows. All of it is ours; nothing comes from input.
func (r rollup) columns(g extract.Granularity) *strings.Replacer {
	days := "simusage.usage_daily"
	if g == extract.All {
		days = "simusage.usage_monthly"
	}
	fill := []string{"{days}", days}
	for d, column := range map[extract.Dimension]string{extract.Sim: "sim_sid", extract.Fleet: "fleet_sid", extract.Network: "network_sid", extract.Country: "iso_country"} {
		shown := "''"
		if slices.Contains(r.dims(), d) {
			shown = "s." + column
		}
		fill = append(fill, "{"+string(d)+"}", shown)
	}
	return strings.NewReplacer(fill...)
}
