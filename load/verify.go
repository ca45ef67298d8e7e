package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// DayRow is one row of a daily view, for comparison with the API.
type DayRow struct {
	Day                     time.Time
	Key                     string // the values of the dimensions, joined
	Upload, Download, Total int64
	Billed                  string // without trailing zeros
	Unit                    string
}

// DailyRows hands out every row of a daily view in a window of whole days, account by account, and changes nothing. The
// family is one of those of Feeds.
func (s *Store) DailyRows(ctx context.Context, a Account, family string, w extract.Window, row func(DayRow) error) error {
	key, ok := map[string]string{"total": "''", "country": "iso_country", "sim": "sim_sid"}[family]
	if !ok {
		return fmt.Errorf("verify: no family %q", family)
	}
	rows, err := s.pool.Query(ctx, `SELECT day, `+key+`, data_upload, data_download, data_total, coalesce(trim_scale(data_total_billed)::text, ''), coalesce(billed_unit, '')
		FROM usage.`+family+`_daily WHERE account_sid IS NOT DISTINCT FROM nullif($1, '') AND day >= $2 AND day < $3`, a.SID, w.Start, w.End)
	if err != nil {
		return fmt.Errorf("read usage.%s_daily: %w", family, err)
	}
	var r DayRow
	_, err = pgx.ForEachRow(rows, []any{&r.Day, &r.Key, &r.Upload, &r.Download, &r.Total, &r.Billed, &r.Unit}, func() error { return row(r) })
	if err != nil {
		return fmt.Errorf("read usage.%s_daily: %w", family, err)
	}
	return nil
}
