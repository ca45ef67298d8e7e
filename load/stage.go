package load

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

//go:embed stage.sql
var stageSQL string

// sql fills in the tables of the slice: {pages} is its stage, {facts} follows from the granularity, {period} is the type of
// period_start there. All of it is ours; nothing comes from input.
func (w *Walk) sql(text string) string {
	facts, period := "simusage.usage_hourly", "timestamptz"
	switch w.Stream.Granularity {
	case extract.Day:
		facts, period = "simusage.usage_daily", "date"
	case extract.All:
		facts, period = "simusage.usage_monthly", "date"
	}
	return strings.NewReplacer("{pages}", w.stage(), "{facts}", facts, "{period}", period).Replace(text)
}

// periodSize is how many bytes period_start has in COPY's format: those of a time or of a date.
func (w *Walk) periodSize() int {
	if w.Stream.Granularity == extract.Hour {
		return 8
	}
	return 4
}

func (w *Walk) stage() string { return "simusage.stage_" + strconv.FormatInt(w.ID, 10) }

// Stage takes one page of a list in: its rows into the stage, its rejected records aside, and the cursor to the next
// page, all in one transaction. That commit is the only moment at which the walk moves on. Whatever happens before it
// (a kill, a cut) leaves the list where it was, and the page is asked for again; whatever happens after it does not.
//
// The commit does not wait for the disk: a crash of Postgres empties the stage anyhow, and the walk begins anew.
func (w *Walk) Stage(ctx context.Context, l *List, p *extract.Page[extract.Record]) error {
	next := *l
	next.Cursor, next.Done, next.Pages = p.Next, p.Next == "", l.Pages+1
	var rows []byte
	var found []*List
	var err error
	if w.Discovers(l) {
		found = w.discover(p)
	} else if rows, err = w.encode(ctx, &next, p); err != nil {
		return fmt.Errorf("stage page %d of %s: %w", next.Pages, w.list(l), err)
	}
	if err := w.s.drift(ctx, w.Stream.Account, p.Drift); err != nil {
		return fmt.Errorf("stage page %d of %s: %w", next.Pages, w.list(l), err)
	}
	err = w.s.inTx(ctx, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`SET LOCAL synchronous_commit = off`)
		w.queueHold(batch)
		if len(rows) > 0 {
			batch.Queue(w.sql(`INSERT INTO {pages} (list_no, page, rows, data) VALUES ($1, $2, $3, $4)`), next.No, next.Pages, next.Rows-l.Rows, rows)
		}
		w.checkpoint(batch, &next, found, p.Rejected)
		return tx.SendBatch(ctx, batch).Close()
	})
	if stageMissing(err) { // whoever took the slice over has published it
		err = cmp.Or(w.s.inTx(ctx, func(tx pgx.Tx) error { return w.hold(ctx, tx) }), err)
	}
	if err != nil {
		return fmt.Errorf("stage page %d of %s: %w", next.Pages, w.list(l), err)
	}
	*l = next
	w.Lists = append(w.Lists, found...)
	return nil
}

// checkpoint moves the list's cursor, adds the lists that a discovery found, and sets rejected records aside.
func (w *Walk) checkpoint(batch *pgx.Batch, l *List, found []*List, rejected []extract.Rejected) {
	batch.Queue(`UPDATE simusage.list SET cursor = $3, pages = $4, rows = $5, digest = $6, done = $7 WHERE slice_id = $1 AND no = $2`,
		w.ID, l.No, l.Cursor, l.Pages, l.Rows, l.digest.bytes(), l.Done)
	for _, f := range found {
		batch.Queue(`INSERT INTO simusage.list (slice_id, no, value) VALUES ($1, $2, $3)`, w.ID, f.No, f.Value)
	}
	for _, r := range rejected {
		batch.Queue(`INSERT INTO simusage.rejected (slice_id, list_no, list_value, walk_started_at, reason, raw) VALUES ($1, $2, $3, $4, $5, $6)`,
			w.ID, l.No, l.Value, w.Started, storable(r.Reason), storable(r.Raw))
	}
}

// discover makes a list for each value of the fan-out dimension that had usage and is not known yet; usage without a value
// makes one too, so that the stream says all that the total says.
func (w *Walk) discover(p *extract.Page[extract.Record]) []*List {
	known := make(map[string]bool, len(w.Lists))
	for _, l := range w.Lists {
		known[l.Value] = true
	}
	var found []*List
	for i := range p.Records {
		value := p.Records[i].Get(w.Stream.FanOut)
		if known[value] {
			continue
		}
		value = strings.Clone(value)
		known[value] = true
		found = append(found, &List{No: int32(len(w.Lists) + len(found)), Value: value})
	}
	return found
}

// encode makes the page's rows as the stage keeps them and adds them to the list's count and digest.
func (w *Walk) encode(ctx context.Context, l *List, p *extract.Page[extract.Record]) ([]byte, error) {
	records := p.Records
	if w.Unnamed(l) {
		records = slices.DeleteFunc(records, func(r extract.Record) bool { return r.Get(w.Stream.FanOut) != "" })
	}
	if len(records) == 0 {
		return nil, nil
	}
	if err := w.identify(ctx, records); err != nil {
		return nil, err
	}
	series, err := w.s.resolve(ctx, w.Stream.ID, records)
	if err != nil {
		return nil, err
	}
	rows := make([]byte, 0, 90*len(records))
	row := stageRow{days: w.Stream.Granularity != extract.Hour}
	code := ""
	for i := range records {
		r := &records[i]
		if r.Unit != code {
			if row.unit, err = w.s.unit(ctx, r.Unit); err != nil {
				return nil, err
			}
			code = r.Unit
		}
		row.start, row.series = r.Start, series[i]
		row.upload, row.download, row.total, row.billed = r.Upload, r.Download, r.Total, r.Billed
		if rows, err = appendRow(rows, &row, &l.digest); err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, err)
		}
	}
	l.Rows += int64(len(records))
	return rows, nil
}

// identify holds the account that the records name against the one that the credentials stand for.
func (w *Walk) identify(ctx context.Context, records []extract.Record) error {
	for i := range records {
		if sid := records[i].AccountSID; sid != "" && sid != w.Stream.Account.SID {
			if err := w.Stream.Account.identify(ctx, w.s.pool, strings.Clone(sid)); err != nil {
				return err
			}
		}
	}
	return nil
}

// storable is text from outside as Postgres takes it: valid UTF-8 without zero bytes.
func storable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "�")
}

// list is a list as people read it.
func (w *Walk) list(l *List) string {
	switch {
	case w.Discovers(l):
		return w.Name() + " (which " + string(w.Stream.FanOut) + ")"
	case w.Unnamed(l):
		return w.Name() + " (no " + string(w.Stream.FanOut) + ")"
	case l.Value != "":
		return w.Name() + " " + l.Value
	}
	return w.Name()
}
