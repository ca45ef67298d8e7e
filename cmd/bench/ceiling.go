package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// ceiling is what Postgres can take in at all: one connection, one binary COPY of all columns of the records by SIM, SIDs
// as text, into an unlogged table without an index.
func ceiling(ctx context.Context, o order) (loaded, error) {
	conn, err := pgx.Connect(ctx, o.Database)
	if err != nil {
		return loaded{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `CREATE UNLOGGED TABLE ceiling (
		account_sid text, sim_sid text, fleet_sid text, network_sid text, iso_country text, period_start timestamptz, period_end timestamptz,
		data_upload bigint, data_download bigint, data_total bigint, data_total_billed numeric, billed_unit text)`)
	if err != nil {
		return loaded{}, err
	}
	rows := newCopyDays(o.Fleet, o.Window)
	stream := io.MultiReader(bytes.NewReader([]byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")), rows, bytes.NewReader([]byte{0xff, 0xff}))
	began := time.Now()
	tag, err := conn.PgConn().CopyFrom(ctx, stream, `COPY ceiling FROM STDIN BINARY`)
	took := time.Since(began)
	if err != nil {
		return loaded{}, err
	}
	if want := int64(24 * length(o.Window) * o.Fleet.SIMs); tag.RowsAffected() != want {
		return loaded{}, fmt.Errorf("%d rows were copied, want %d", tag.RowsAffected(), want)
	}
	_, err = conn.Exec(ctx, `DROP TABLE ceiling`)
	return loaded{tag.RowsAffected(), took}, err
}

// copyDays reads as the rows of day after day in COPY format. One day is encoded beforehand and gets another date for each
// turn, which is two stores a row.
type copyDays struct {
	day   []byte
	width int // of a row
	times int // where in a row the two times are
	left  []byte
	next  time.Time
	until time.Time
}

func newCopyDays(f fleet, w extract.Window) *copyDays {
	c := &copyDays{next: w.Start, until: w.End}
	for hour := 23; hour >= 0; hour-- {
		for n := range f.Countries {
			first, until := f.block(n)
			for sim := first; sim < until; sim++ {
				c.day = c.append(c.day, hour, country(n), simSID(sim), f.use(sim, hour, original))
				if c.width == 0 {
					c.width = len(c.day)
					c.day = append(make([]byte, 0, 24*f.SIMs*c.width), c.day...)
				}
			}
		}
	}
	return c
}

// append appends a row as on 2000-01-01, where Postgres' time begins.
func (c *copyDays) append(b []byte, hour int, country, sim string, u usage) []byte {
	be := binary.BigEndian
	first := len(b)
	b = be.AppendUint16(b, 12)
	text := func(s string) { b = append(be.AppendUint32(b, uint32(len(s))), s...) }
	number := func(n int64) { b = be.AppendUint64(be.AppendUint32(b, 8), uint64(n)) }
	text(accountSID(0))
	text(sim)
	b = be.AppendUint32(be.AppendUint32(b, 0xffffffff), 0xffffffff) // no fleet, no network
	text(country)
	c.times = len(b) - first
	number(int64(hour) * time.Hour.Microseconds())
	number(int64(hour+1) * time.Hour.Microseconds())
	number(u.upload)
	number(u.download)
	number(u.upload + u.download)
	// A numeric of one group of four digits, all of them behind the point.
	b = be.AppendUint32(b, 10)
	b = be.AppendUint16(be.AppendUint16(b, 1), 0xffff)
	b = be.AppendUint16(be.AppendUint16(b, 0), 4)
	b = be.AppendUint16(b, uint16(u.billed))
	text("USD")
	return b
}

func (c *copyDays) Read(p []byte) (int, error) {
	if len(c.left) == 0 && !c.date() {
		return 0, io.EOF
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

// date puts the next day's date into the rows; false when there is none.
func (c *copyDays) date() bool {
	if !c.next.Before(c.until) {
		return false
	}
	const day = 24 * time.Hour
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	midnight := uint64(c.next.Sub(epoch).Microseconds())
	for row := c.day; len(row) > 0; row = row[c.width:] {
		for _, at := range [...]int{c.times + 4, c.times + 16} {
			hour := binary.BigEndian.Uint64(row[at:])
			// What is there is of the day before: only its time of day counts, and the end of the last hour is of the next day.
			since := hour % uint64(day.Microseconds())
			if at != c.times+4 && since == 0 {
				since = uint64(day.Microseconds())
			}
			binary.BigEndian.PutUint64(row[at:], midnight+since)
		}
	}
	c.left, c.next = c.day, c.next.Add(day)
	return true
}
