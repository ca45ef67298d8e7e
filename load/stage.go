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
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/extract"
)

//go:embed stage.sql
var stageSQL string

// sql fills in the tables of the walk.
func (w *Walk) sql(text string) string { return fill(w.Stream.Stream, w.stage(), text) }

// fill fills in tables: {pages}, the stage; {facts}, which follows from the granularity; {period}, the type of period_start
// there. All of it is ours; nothing comes from input.
func fill(x extract.Stream, pages, text string) string {
	facts, period := "simusage.usage_hourly", "timestamptz"
	switch x.Granularity {
	case extract.Day:
		facts, period = "simusage.usage_daily", "date"
	case extract.All:
		facts, period = "simusage.usage_monthly", "date"
	}
	return strings.NewReplacer("{pages}", pages, "{facts}", facts, "{period}", period).Replace(text)
}

// periodSize is how many bytes period_start has in COPY's format: those of a time or of a date.
func (w *Walk) periodSize() int {
	if w.Stream.Granularity == extract.Hour {
		return 8
	}
	return 4
}

func (w *Walk) stage() string { return stageOf(w.ID, w.Spans()) }

// stageOf is the stage of a walk. That of a span has another name, for programs that know no spans (see span.go).
func stageOf(leader int64, span bool) string {
	name := "simusage.stage_" + strconv.FormatInt(leader, 10)
	if span {
		name += "_span"
	}
	return name
}

// Stage takes one page of a list in: its rows into the stage, its rejected records aside, and the cursor to the next
// page, all in one transaction. That commit is the only moment at which the walk moves on. Whatever happens before it
// (a kill, a cut) leaves the list where it was, and the page is asked for again; whatever happens after it does not.
//
// The commit does not wait for the disk: a crash of Postgres empties the stage anyhow, and the walk begins anew. A walk that
// has not noticed the crash meets a checkpoint that is older than the one it remembers.
func (w *Walk) Stage(ctx context.Context, l *List, p *extract.Page[extract.Record]) error {
	if err := w.fits(p); err != nil {
		return fmt.Errorf("stage page %d of %s: %w", l.Pages+1, w.list(l), err)
	}
	next := *l
	next.Cursor, next.Done, next.Pages = p.Next, p.Next == "", l.Pages+1
	var staged []slotRows
	var found []*List
	var err error
	if w.Discovers(l) {
		if found, err = w.discover(ctx, p); err != nil {
			return fmt.Errorf("stage page %d of %s: %w", next.Pages, w.list(l), err)
		}
	} else if staged, err = w.encode(ctx, &next, p); err != nil {
		return fmt.Errorf("stage page %d of %s: %w", next.Pages, w.list(l), err)
	}
	if err := w.s.drift(ctx, w.account(), p.Drift); err != nil {
		return fmt.Errorf("stage page %d of %s: %w", next.Pages, w.list(l), err)
	}
	err = w.s.inTx(ctx, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`SET LOCAL synchronous_commit = off`)
		w.lead().queueHold(batch)
		for _, r := range staged {
			batch.Queue(w.sql(`INSERT INTO {pages} (list_no, page, slot, rows, data) VALUES ($1, $2, $3, $4, $5)`), next.No, next.Pages, r.slot, r.count, r.data)
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
	w.mu.Lock()
	defer w.mu.Unlock()
	*l = next
	w.Lists = append(w.Lists, found...)
	return nil
}

// checkpoint moves the list's cursor, adds the lists that a discovery found, and sets rejected records aside.
func (w *Walk) checkpoint(batch *pgx.Batch, l *List, found []*List, rejected []extract.Rejected) {
	batch.Queue(`UPDATE simusage.list SET cursor = $3, pages = $4, rows = $5, digest = $6, done = $7 WHERE slice_id = $1 AND no = $2 AND pages = $4 - 1`,
		w.ID, l.No, l.Cursor, l.Pages, l.Rows, l.digests.bytes(), l.Done).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() == 0 {
			return ErrStageLost
		}
		return nil
	})
	if len(found) > 0 {
		w.addLists(batch, found)
	}
	for _, r := range rejected {
		batch.Queue(`INSERT INTO simusage.rejected (slice_id, list_no, list_value, walk_started_at, reason, raw) VALUES ($1, $2, $3, $4, $5, $6)`,
			w.ID, l.No, l.Value, w.Started, storable(r.Reason), storable(r.Raw))
	}
}

// discover makes a list, or one for each piece, for each value of the fan-out dimension that had usage and is not known yet;
// usage without a value makes one too, so that the stream says all that the total says.
func (w *Walk) discover(ctx context.Context, p *extract.Page[extract.Record]) ([]*List, error) {
	pieces, err := w.cut(ctx)
	if err != nil {
		return nil, err
	}
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
		found = append(found, listsOf(len(w.Lists)+len(found), value, pieces)...)
	}
	return found, nil
}

// slotRows is what a page has of one slice, as the stage keeps it.
type slotRows struct {
	slot, count int
	data        []byte
}

// encode makes the page's rows as the stage keeps them, slice by slice, and adds them to the list's count and digests.
func (w *Walk) encode(ctx context.Context, l *List, p *extract.Page[extract.Record]) ([]slotRows, error) {
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
	var staged []slotRows
	var into *slotRows
	row := stageRow{days: w.Stream.Granularity != extract.Hour}
	code := ""
	slots := w.Stream.Slices(w.Ask)
	sums, at := l.digests.split(len(slots)), -1
	for i := range records {
		r := &records[i]
		if at < 0 || !slots[at].Contains(r.Start) {
			at = slices.IndexFunc(slots, func(s extract.Window) bool { return s.Contains(r.Start) })
		}
		if at < 0 || !l.Ask.Contains(r.Start) {
			return nil, fmt.Errorf("record %d: %s is not within what was asked, %s", i+1, r.Start, l.Ask)
		}
		if r.Unit != code {
			if row.unit, err = w.s.unit(ctx, r.Unit); err != nil {
				return nil, err
			}
			code = r.Unit
		}
		if into == nil || into.slot != at {
			k := slices.IndexFunc(staged, func(r slotRows) bool { return r.slot == at })
			if k < 0 {
				k, staged = len(staged), append(staged, slotRows{slot: at, data: make([]byte, 0, 90*(len(records)-i))})
			}
			into = &staged[k]
		}
		row.start, row.series = r.Start, series[i]
		row.upload, row.download, row.total, row.billed = r.Upload, r.Download, r.Total, r.Billed
		if into.data, err = appendRow(into.data, &row, &sums[at]); err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, err)
		}
		into.count++
	}
	l.digests = joined(sums)
	l.Rows += int64(len(records))
	return staged, nil
}

// identify holds the account that the records name against the one that the credentials stand for.
func (w *Walk) identify(ctx context.Context, records []extract.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range records {
		if sid := records[i].AccountSID; sid != "" && sid != w.Stream.Account.SID {
			if err := w.Stream.Account.identify(ctx, w.s.pool, strings.Clone(sid)); err != nil {
				return err
			}
		}
	}
	return nil
}

// account is the walk's account, as far as it is known by now.
func (w *Walk) account() Account {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Stream.Account
}

// storable is text from outside as Postgres takes it: valid UTF-8 without zero bytes.
func storable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "�")
}

// list is a list as people read it.
func (w *Walk) list(l *List) string {
	name := w.Name()
	switch {
	case w.Discovers(l):
		name += " (which " + string(w.Stream.FanOut) + ")"
	case w.Unnamed(l):
		name += " (no " + string(w.Stream.FanOut) + ")"
	case l.Value != "":
		name += " " + l.Value
	}
	if w.piece(l) {
		name += " " + l.Ask.String()
	}
	return name
}
