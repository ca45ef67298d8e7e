package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// A family of views (sim_hourly, sim_daily, sim_monthly, …) reads one stream at a time: its feed. Two streams that both
// know SIMs, say hour/sim and hour/sim@country, may be stored side by side; counting both would double the usage.
//
// When the configuration changes, the new stream does not simply take over: it may have nothing yet, and what is older
// than the API remembers it can never get. It takes over from the first slice on from which it is complete up to the
// present, and the old one keeps the time before that. The ranges stand in simusage.feed, readers see them in
// usage.feeds, and each change is logged.

// family is a family of views.
type family struct {
	name string
	dims []extract.Dimension
}

// families are the views and the dimensions that they show, in the order of contract and documentation.
var families = []family{
	{"total", nil},
	{"country", []extract.Dimension{extract.Country}},
	{"sim", []extract.Dimension{extract.Sim}},
	{"sim_country", []extract.Dimension{extract.Sim, extract.Country}},
	{"fleet", []extract.Dimension{extract.Fleet}},
	{"network", []extract.Dimension{extract.Network}},
}

// grains are the views of a family and the granularities that can feed them, the best first.
var grains = []struct {
	name string
	from []extract.Granularity
}{
	{"hour", []extract.Granularity{extract.Hour}},
	{"day", []extract.Granularity{extract.Hour, extract.Day}},
	{"month", []extract.Granularity{extract.Hour, extract.Day, extract.All}},
}

// Feed is a stream that a family is to read.
type Feed struct {
	Family, Grain string
	Stream        extract.Stream
}

// ErrAmbiguous says that two streams want to feed the same views and nothing says which.
var ErrAmbiguous = errors.New("the views can read one stream only")

// Feeds chooses the streams that the views read. Of the streams of the best granularity, SIM × country comes first for
// whatever it can show, so that these views agree with each other; then the stream with just the wanted breakdown; then
// one with more. A stream narrowed by a filter feeds views only where no whole one does.
func Feeds(streams []extract.Stream) ([]Feed, error) {
	var feeds []Feed
	for _, f := range families {
		for _, grain := range grains {
			best, err := bestFeed(streams, f.name, f.dims, grain.from)
			if err != nil {
				return nil, err
			}
			if best != nil {
				feeds = append(feeds, Feed{f.name, grain.name, *best})
			}
		}
	}
	return feeds, nil
}

// bestFeed chooses by filter, then granularity, then breakdown. Two streams that narrow differently are no choice, unless
// something better than both turns up.
func bestFeed(streams []extract.Stream, family string, dims []extract.Dimension, from []extract.Granularity) (*extract.Stream, error) {
	var best, rival *extract.Stream
	bestRank := 0
	for i, s := range streams {
		rank, at := feedRank(s, dims), slices.Index(from, s.Granularity)
		if rank == 0 || at < 0 {
			continue
		}
		rank += 10 * (len(from) - at)
		if s.Fixed == (extract.Filter{}) {
			rank += 100
		}
		switch {
		case rank > bestRank:
			best, bestRank, rival = &streams[i], rank, nil
		case rank == bestRank && best.Fixed != s.Fixed:
			rival = &streams[i]
		}
	}
	if rival != nil {
		return nil, fmt.Errorf("%w: %s and %s would both narrow what the %s views show; keep one of them, or add the stream without a filter",
			ErrAmbiguous, *best, *rival, family)
	}
	return best, nil
}

// feedRank is how well a stream's breakdown fits a family: 0 not at all. Best is the API's own answer to just that question,
// and the least to read; all of them are held against the same total. To sum a breakdown by two dimensions comes second.
func feedRank(s extract.Stream, dims []extract.Dimension) int {
	has := s.Dimensions()
	for _, d := range dims {
		if !slices.Contains(has, d) {
			return 0
		}
	}
	switch {
	case len(dims) == 0 && len(has) > 0:
		return 0 // a total is asked for, never summed: it is the measure of the others
	case len(has) == len(dims):
		return 3
	case slices.Contains(has, extract.Sim) && slices.Contains(has, extract.Country):
		return 2 // most readers have it anyway
	}
	return 1
}

// Switch is a change of what a family of views reads.
type Switch struct {
	Family, Grain string
	From, To      string    // stream names; From is empty for the first feed
	Since         time.Time // zero: from the beginning, or not yet
	Waiting       bool      // To is not complete yet; the views still read From
}

// SetFeeds brings the feeds of an account to what is wanted, as far as the wanted streams are complete. Processes take turns;
// who had to wait finds mostly that it was done.
func (s *Store) SetFeeds(ctx context.Context, a Account, wanted []Feed, streams []Stream) ([]Switch, error) {
	wanted, err := unmet(ctx, s.pool, a, wanted)
	if err != nil || len(wanted) == 0 {
		return nil, err
	}
	var switches []Switch
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('simusage.feed'))`); err != nil {
			return err
		}
		wanted, err := unmet(ctx, tx, a, wanted)
		if err != nil {
			return err
		}
		for _, f := range wanted {
			i := slices.IndexFunc(streams, func(st Stream) bool { return st.Stream == f.Stream })
			sw, err := setFeed(ctx, tx, a, f, streams[i].ID)
			if err != nil {
				return err
			}
			if sw != nil {
				switches = append(switches, *sw)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("choose what the views read: %w", err)
	}
	return switches, nil
}

// unmet leaves out what is as it is wanted, from the beginning and until further notice: mostly everything.
func unmet(ctx context.Context, q querier, a Account, wanted []Feed) ([]Feed, error) {
	rows, err := q.Query(ctx, `SELECT family, grain, stream.name FROM simusage.feed JOIN simusage.stream ON stream.id = feed.stream_id
		WHERE feed.account_id = $1 AND valid_from = '-infinity' AND valid_to = 'infinity'`, a.ID)
	if err != nil {
		return nil, fmt.Errorf("read what the views read: %w", err)
	}
	met, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (met [3]string, err error) {
		err = row.Scan(&met[0], &met[1], &met[2])
		return met, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what the views read: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(wanted), func(f Feed) bool {
		return slices.Contains(met, [3]string{f.Family, f.Grain, f.Stream.String()})
	}), nil
}

func setFeed(ctx context.Context, tx pgx.Tx, a Account, f Feed, stream int16) (*Switch, error) {
	rows, err := tx.Query(ctx, `SELECT feed.stream_id, stream.name, feed.valid_from = '-infinity', CASE WHEN feed.valid_from = '-infinity' THEN 'epoch' ELSE feed.valid_from END
		FROM simusage.feed JOIN simusage.stream ON stream.id = feed.stream_id
		WHERE feed.account_id = $1 AND family = $2 AND grain = $3 ORDER BY valid_to DESC`, a.ID, f.Family, f.Grain)
	if err != nil {
		return nil, err
	}
	type current struct {
		Stream int16
		Name   string
		Always bool
		From   time.Time
	}
	now, err := pgx.CollectRows(rows, pgx.RowToStructByPos[current])
	if err != nil {
		return nil, err
	}
	if len(now) == 0 {
		_, err := tx.Exec(ctx, `INSERT INTO simusage.feed (account_id, family, grain, stream_id, valid_from, valid_to) VALUES ($1, $2, $3, $4, '-infinity', 'infinity')`,
			a.ID, f.Family, f.Grain, stream)
		return nil, err
	}
	if now[0].Stream == stream && now[0].Always {
		return nil, nil
	}
	if len(now) == 1 {
		// The stream that is read has nothing: nothing to wait for, nothing to keep.
		tag, err := tx.Exec(ctx, `UPDATE simusage.feed SET stream_id = $4 WHERE account_id = $1 AND family = $2 AND grain = $3
			AND NOT EXISTS (SELECT FROM simusage.slice WHERE slice.stream_id = feed.stream_id AND published_at IS NOT NULL)`, a.ID, f.Family, f.Grain, stream)
		if err != nil || tag.RowsAffected() > 0 {
			return nil, err
		}
	}
	since, complete, err := completeSince(ctx, tx, stream, now[0].Stream, f.Grain)
	if err != nil {
		return nil, err
	}
	sw := &Switch{Family: f.Family, Grain: f.Grain, From: now[0].Name, To: f.Stream.String(), Since: since, Waiting: !complete}
	if now[0].Stream == stream {
		if !complete || !since.Before(now[0].From) {
			return nil, nil
		}
		sw.From = now[1].Name // a backfill has made it complete further back
	}
	if !complete {
		return sw, nil
	}
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM simusage.feed WHERE account_id = $1 AND family = $2 AND grain = $3 AND valid_from >= $4`, a.ID, f.Family, f.Grain, since)
	batch.Queue(`UPDATE simusage.feed SET valid_to = $4 WHERE account_id = $1 AND family = $2 AND grain = $3 AND valid_to > $4`, a.ID, f.Family, f.Grain, since)
	batch.Queue(`INSERT INTO simusage.feed (account_id, family, grain, stream_id, valid_from, valid_to) VALUES ($1, $2, $3, $4, $5, 'infinity')`,
		a.ID, f.Family, f.Grain, stream, since)
	return sw, tx.SendBatch(ctx, batch).Close()
}

// completeSince is the start of the unbroken run of what is published of a stream that reaches as far as what the other
// stream has; false when it does not reach that far. For months it is the start of a whole month. A run is broken by a
// slice that was never published, by slices that were never planned (a backfill of an old month makes none up to now),
// and by what the wall cut off a slice.
func completeSince(ctx context.Context, tx pgx.Tx, stream, other int16, grain string) (time.Time, bool, error) {
	var since *time.Time
	err := tx.QueryRow(ctx, `WITH mine AS (
			SELECT window_start, covered_from, covered_until, lead(covered_from) OVER (ORDER BY window_start) AS newer
			FROM simusage.slice WHERE stream_id = $1
				AND window_start <= (SELECT max(window_start) FROM simusage.slice WHERE stream_id = $1 AND published_at IS NOT NULL)
		), run AS (
			SELECT covered_from, covered_until,
				count(*) FILTER (WHERE covered_from IS NULL OR covered_until < newer) OVER (ORDER BY window_start DESC) AS holes
			FROM mine
		)
		SELECT min(covered_from) FROM run WHERE holes = 0
		HAVING max(covered_until) >= coalesce((SELECT max(covered_until) FROM simusage.slice WHERE stream_id = $2), '-infinity')`, stream, other).Scan(&since)
	if err == pgx.ErrNoRows || (err == nil && since == nil) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, err
	}
	at := since.UTC()
	if month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC); grain == "month" && month.Before(at) {
		at = month.AddDate(0, 1, 0)
	}
	return at, true, nil
}
