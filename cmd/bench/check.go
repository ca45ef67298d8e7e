package main

import (
	"context"
	"fmt"

	"simusage/extract"
)

// sums is what is stored of a stream, or should be.
type sums struct {
	rows                    int64
	upload, download, total int64
	billed                  string
}

// expect is what the API says of a stream's window, all in all.
func (f fleet) expect(stream string, w extract.Window, says saying) sums {
	inHour := map[string]int{"hour/total": 1, "hour/country": f.Countries, "hour/sim@country": f.SIMs}[stream]
	var day [changes]usage
	for c := range changes {
		for hour := range 24 {
			day[c].add(f.sum(everywhere, hour, c))
		}
	}
	var u usage
	for at := w.Start; at.Before(w.End); at = at.AddDate(0, 0, 1) {
		u.add(day[says.at(at)])
	}
	return sums{int64(24 * inHour * length(w)), u.upload, u.download, u.upload + u.download, money(u.billed)}
}

// check holds what is stored against what was invented: every fact is counted and summed, the roll-up too, and each slice
// must agree with its total.
func (d *database) check(ctx context.Context, f fleet, w extract.Window, says saying) error {
	streams := []string{"hour/total", "hour/country", "hour/sim@country"}
	for _, table := range []string{"usage_hourly", "usage_daily"} {
		for _, stream := range streams {
			want := f.expect(stream, w, says)
			if table == "usage_daily" {
				want.rows /= 24
			}
			var got sums
			err := d.scan(ctx, `SELECT count(*), coalesce(sum(data_upload), 0)::bigint, coalesce(sum(data_download), 0)::bigint,
					coalesce(sum(data_total), 0)::bigint, coalesce(sum(data_total_billed), 0)::text
				FROM simusage.`+table+` WHERE stream_id = (SELECT id FROM simusage.stream WHERE name = $1)`, []any{stream},
				&got.rows, &got.upload, &got.download, &got.total, &got.billed)
			if err != nil {
				return fmt.Errorf("check %s: %w", table, err)
			}
			if got != want {
				return fmt.Errorf("the answer is wrong: %s of %s holds %+v, want %+v", table, stream, got, want)
			}
		}
	}
	slices, err := d.agreed(ctx)
	if err == nil && slices != 2*length(w) {
		err = fmt.Errorf("the answer is wrong: %d slices agree with their total, want %d", slices, 2*length(w))
	}
	return err
}

// agreed says how many slices agree with their total, which all have to.
func (d *database) agreed(ctx context.Context) (slices int, err error) {
	var agree int
	err = d.scan(ctx, `SELECT count(*), count(*) FILTER (WHERE reconciled) FROM usage.reconciliation`, nil, &slices, &agree)
	if err != nil {
		return 0, fmt.Errorf("check the slices: %w", err)
	}
	if agree < slices {
		return 0, fmt.Errorf("the answer is wrong: %d of %d slices agree with their total", agree, slices)
	}
	return slices, nil
}
