package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
)

// scriptPage is a page as a script reads it.
type scriptPage struct {
	Records []struct {
		SIM      string  `json:"sim_sid"`
		Upload   int64   `json:"data_upload"`
		Download int64   `json:"data_download"`
		Total    int64   `json:"data_total"`
		Billed   string  `json:"data_total_billed"`
		Unit     *string `json:"billed_unit"`
		Period   struct {
			Start time.Time `json:"start_time"`
		} `json:"period"`
	} `json:"usage_records"`
	Meta struct {
		Next *string `json:"next_page_url"`
	} `json:"meta"`
}

// script is the plain way to load usage: a page at a time, an upsert a row, each committed. It has a day's usage by SIM
// and no countries, no checkpoint and no proof.
func script(ctx context.Context, o order) (loaded, error) {
	conn, err := pgx.Connect(ctx, o.Database)
	if err != nil {
		return loaded{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `CREATE TABLE script (
		sim_sid text, period_start timestamptz, data_upload bigint, data_download bigint, data_total bigint, data_total_billed numeric, billed_unit text,
		PRIMARY KEY (sim_sid, period_start))`)
	if err != nil {
		return loaded{}, err
	}
	var l loaded
	began := time.Now()
	for day := o.Window.Start; day.Before(o.Window.End) && l.Rows < int64(o.Rows); day = day.AddDate(0, 0, 1) {
		next := o.API + "/v1/UsageRecords?" + url.Values{"Group": {"sim"}, "Granularity": {"hour"}, "PageSize": {"1000"},
			"StartTime": {day.Format(time.RFC3339)}, "EndTime": {day.AddDate(0, 0, 1).Format(time.RFC3339)}}.Encode()
		for next != "" && l.Rows < int64(o.Rows) {
			var page scriptPage
			if err := ask(ctx, next, &page); err != nil {
				return l, err
			}
			for _, r := range page.Records {
				_, err := conn.Exec(ctx, `INSERT INTO script VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (sim_sid, period_start) DO UPDATE SET
					data_upload = excluded.data_upload, data_download = excluded.data_download, data_total = excluded.data_total,
					data_total_billed = excluded.data_total_billed, billed_unit = excluded.billed_unit`,
					r.SIM, r.Period.Start, r.Upload, r.Download, r.Total, r.Billed, r.Unit)
				if err != nil {
					return l, err
				}
			}
			l.Rows += int64(len(page.Records))
			next = ""
			if page.Meta.Next != nil {
				next = *page.Meta.Next
			}
		}
	}
	l.Took = time.Since(began)
	_, err = conn.Exec(ctx, `DROP TABLE script`)
	return l, err
}

// ask reads one page.
func ask(ctx context.Context, address string, page *scriptPage) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(accountSID(0), "secret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the API: %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(page)
}
