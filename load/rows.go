package load

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What costs is Postgres' work on each row. So a row is put into a table once: the stage keeps a page as it is, as one
// value, and a slice that was never published goes from there straight into the facts, by COPY, which takes half of what
// INSERT … SELECT takes. It goes in sorted by the key, which is half the cost of the index; sorted here, in runs, so that
// memory is bounded whatever a slice has. Only a slice that is there already, and says something else now, is unpacked into
// rows that SQL can compare.

// runRows is how many rows are sorted and copied at a time: 2 to 3 MB. All of a slice of 1,300 SIMs goes in one run.
const runRows = 32_000

// stagedRow is where one staged row lies, and what it is sorted by.
type stagedRow struct {
	period       int64
	series       int32
	start, bytes int32
}

// run is some staged pages, and their rows in order. A store has a few of them: whoever publishes takes one, so they also
// bound how many slices are published at once. More publishes than cores of the database make each other slower.
type run struct {
	data []byte
	rows []stagedRow
	most int // rows, give or take a page
}

// maxPublishes bounds how many slices a process publishes at once.
const maxPublishes = 2

func newRuns() chan *run {
	runs := make(chan *run, maxPublishes)
	for range maxPublishes {
		runs <- &run{most: runRows}
	}
	return runs
}

// add takes a page's rows in. size is the size of period_start: 8 for a time, 4 for a date.
func (r *run) add(page []byte, size int) {
	at := len(r.data)
	r.data = append(r.data, page...)
	for at < len(r.data) {
		b := r.data[at:]
		row := stagedRow{start: int32(at)}
		if size == 8 {
			row.period = int64(binary.BigEndian.Uint64(b[4:]))
		} else {
			row.period = int64(int32(binary.BigEndian.Uint32(b[4:])))
		}
		row.series = int32(binary.BigEndian.Uint32(b[4+size+4:]))
		row.bytes = int32(4 + size + 8 + 3*12 + 6 + 4)
		if billed := int32(binary.BigEndian.Uint32(b[row.bytes-4:])); billed > 0 {
			row.bytes += billed
		}
		r.rows = append(r.rows, row)
		at += int(row.bytes)
	}
}

// sort puts the rows in the order of the key. Of a record that came on two pages, because pages shift while they are walked,
// the one that was said last stays.
func (r *run) sort() {
	slices.SortFunc(r.rows, func(a, b stagedRow) int {
		switch {
		case a.period != b.period:
			return cmp.Compare(a.period, b.period)
		case a.series != b.series:
			return cmp.Compare(a.series, b.series)
		}
		return cmp.Compare(a.start, b.start)
	})
	kept := r.rows[:0]
	for i, row := range r.rows {
		if i+1 < len(r.rows) && r.rows[i+1].period == row.period && r.rows[i+1].series == row.series {
			continue
		}
		kept = append(kept, row)
	}
	r.rows = kept
}

// count adds up how many rows there are of each currency.
func (r *run) count(units unitCounts, size int) {
	var of int16
	var n int64
	for _, row := range r.rows {
		unit := int16(binary.BigEndian.Uint16(r.data[int(row.start)+4+size+8+3*12+4:]))
		if unit != of {
			units.add(of, n)
			of, n = unit, 0
		}
		n++
	}
	units.add(of, n)
}

// unitCounts are numbers of rows by currency.
type unitCounts map[int16]int64

func (u unitCounts) add(unit int16, n int64) {
	if n > 0 {
		u[unit] += n
	}
}

// columns are the currencies and their numbers, for Postgres.
func (u unitCounts) columns() (codes []int16, counts []int64) {
	for code, n := range u {
		codes, counts = append(codes, code), append(counts, n)
	}
	return codes, counts
}

func (r *run) reset() { r.data, r.rows = r.data[:0], r.rows[:0] }

// copied reads a run as the program side of COPY: the header, each row behind the same prefix, the end.
//
// When the connection is lost, pgconn.CopyFrom returns while its goroutine may still read. The run is used again then, so
// the copying ends with end, after which there is nothing more to read.
type copied struct {
	mu    sync.Mutex
	ended bool
	*run
	prefix []byte
	next   int    // of the rows
	rest   []byte // of what is being read
	buffer []byte
}

func (r *run) reader(prefix []byte) *copied {
	return &copied{run: r, prefix: prefix, rest: []byte(copyHeader), buffer: make([]byte, 0, 256)}
}

// end waits for a Read that is under way.
func (c *copied) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

func (c *copied) Read(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0, io.ErrClosedPipe
	}
	for n < len(p) {
		if len(c.rest) == 0 {
			switch {
			case c.next < len(c.rows):
				row := c.rows[c.next]
				c.rest = append(append(c.buffer[:0], c.prefix...), c.data[row.start:row.start+row.bytes]...)
			case c.next == len(c.rows):
				c.rest = appendCopyEnd(c.buffer[:0])
			default:
				return n, io.EOF
			}
			c.next++
		}
		copied := copy(p[n:], c.rest)
		c.rest = c.rest[copied:]
		n += copied
	}
	return n, nil
}

// pages hands out what is staged of the slice, page by page, in the order in which they were said, list by list.
func (p *Part) pages(ctx context.Context, tx pgx.Tx, page func(rows []byte) error) error {
	slot, _ := p.slot()
	from := p.walk.sql(fmt.Sprintf(`SELECT data FROM {pages} WHERE slot = %d ORDER BY list_no, page`, slot))
	if _, err := tx.Exec(ctx, `DECLARE page NO SCROLL CURSOR FOR `+from); err != nil {
		return err
	}
	for {
		rows, err := tx.Query(ctx, `FETCH 8 FROM page`)
		if err != nil {
			return err
		}
		some, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			return err
		}
		for _, data := range some {
			if err := page(data); err != nil {
				return err
			}
		}
		if len(some) == 0 {
			_, err := tx.Exec(ctx, `CLOSE page`)
			return err
		}
	}
}

// copyFirst copies a slice that was never published into the facts and returns how many rows it has, and of which currencies. A
// record that came on two pages of different runs is found by the key; then all is undone, SQL looks for what was said last, and
// nobody has counted the currencies.
func (p *Part) copyFirst(ctx context.Context, tx pgx.Tx) (int64, unitCounts, error) {
	var now time.Time
	if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return 0, nil, err
	}
	w, be := p.walk, binary.BigEndian
	prefix := be.AppendUint16(be.AppendUint32(be.AppendUint16(nil, 9), 2), uint16(w.Stream.ID))
	prefix = be.AppendUint64(be.AppendUint32(prefix, 8), uint64(now.Sub(epoch).Microseconds()))
	var copied int64
	units := unitCounts{}
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) (err error) {
		copied, err = p.copyRuns(ctx, tx, `{facts} (stream_id, changed_at, `, func(r *run, _ int) []byte {
			r.count(units, w.periodSize())
			return prefix
		})
		return err
	})
	if duplicate(err) {
		if err := p.unpack(ctx, tx); err != nil {
			return 0, nil, err
		}
		copied, err := execute(ctx, tx, w.sql, "first", w.Stream.ID)
		return copied, nil, err
	}
	return copied, units, err
}

// duplicate says whether a key was met twice. Citus passes on what a worker said without its code, but with the key's name.
func duplicate(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "XX000" && strings.Contains(pg.Message, "_pkey_"))
}

// unpack makes rows of the staged pages, in a table of this transaction. A record that came twice in one run is there once.
func (p *Part) unpack(ctx context.Context, tx pgx.Tx) error {
	if _, err := execute(ctx, tx, p.walk.sql, "unpack"); err != nil {
		return err
	}
	be := binary.BigEndian
	_, err := p.copyRuns(ctx, tx, `pg_temp.stage (run, `, func(_ *run, n int) []byte {
		return be.AppendUint32(be.AppendUint32(be.AppendUint16(nil, 8), 4), uint32(n))
	})
	if err != nil {
		return fmt.Errorf("unpack the stage: %w", err)
	}
	return nil
}

// copyRuns copies what is staged of the slice run by run; the rows of a run, which is the nth, begin with its prefix.
func (p *Part) copyRuns(ctx context.Context, tx pgx.Tx, into string, prefix func(r *run, n int) []byte) (copied int64, err error) {
	w := p.walk
	into = w.sql(`COPY ` + into + saidColumns + `) FROM STDIN BINARY`)
	r, n := w.run, 0
	r.reset()
	flush := func() error {
		if len(r.rows) == 0 {
			return nil
		}
		r.sort()
		n++
		reader := r.reader(prefix(r, n))
		tag, err := tx.Conn().PgConn().CopyFrom(ctx, reader, into)
		reader.end()
		copied += tag.RowsAffected()
		r.reset()
		return err
	}
	err = p.pages(ctx, tx, func(rows []byte) error {
		r.add(rows, w.periodSize())
		if len(r.rows) < r.most {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return copied, err
}
