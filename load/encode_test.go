package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
	"simusage/load/pgtest"
)

// Promise 6: money as text becomes the number that Postgres itself reads from that text, with the same decimals.
func TestPromise6NumericIsWhatPostgresReads(t *testing.T) {
	t.Parallel()
	texts := []string{"0", "-0", "0.0", "-0.000", "0e10", "0E-7", "1", "-1", "+1", "10", "9999", "10000", "10001", "99999999", "100000000", "0.1", "0.0001", "0.00001",
		"0.00010001", "1e4", "1e5", "1e-4", "1e-5", "1.5e1", "1.50e-3", "1e100", "1e-100", "-1.23456789e+17", "12345.6789", "00012.500", "5.",
		"9" + strings.Repeat("9", 63), "0." + strings.Repeat("0", 61) + "1", "-0." + strings.Repeat("9", 61), strings.Repeat("0", 63) + "7", "1" + strings.Repeat("0", 58) + "e+100"}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 4000 {
		texts = append(texts, decimal(r))
	}
	b := []byte(copyHeader)
	for _, text := range texts {
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, 2), uint32(len(text)))
		b = append(b, text...)
		length := len(b)
		var err error
		if b, err = appendNumeric(binary.BigEndian.AppendUint32(b, 0), text); err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint32(b[length:], uint32(len(b)-length-4))
	}
	conn := MustConnect(t, postgres.Database(t, pgtest.Template{}))
	if _, err := conn.Exec(t.Context(), `CREATE TEMP TABLE n (said text, stored numeric)`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.PgConn().CopyFrom(t.Context(), bytes.NewReader(appendCopyEnd(b)), `COPY n FROM STDIN BINARY`); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", MustRows(t, conn, `SELECT count(*) FROM n`), fmt.Sprint(len(texts)))
	equal(t, "numbers that Postgres reads differently", MustRows(t, conn, `SELECT said, stored, said::numeric FROM n
		WHERE stored <> said::numeric OR stored::text <> said::numeric::text OR trim_scale(stored)::text <> trim_scale(said::numeric)::text LIMIT 10`))
	// Numbers that are equal are the same bytes, whichever way they came: hashes and joins depend on it.
	equal(t, "not in the normal form", MustRows(t, conn, `SELECT said FROM n WHERE numeric_send(stored) <> numeric_send(said::numeric) LIMIT 10`))
}

// decimal is any decimal number of up to 64 characters.
func decimal(r *rand.Rand) string {
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			if b[i] = '0'; r.IntN(3) > 0 { // zeros in rows are where groups of four go wrong
				b[i] += byte(r.IntN(10))
			}
		}
		return string(b)
	}
	text := []string{"", "", "-", "+"}[r.IntN(4)] + digits(1+r.IntN(24))
	if r.IntN(3) > 0 {
		text += "." + digits(r.IntN(30))
	}
	if r.IntN(3) == 0 {
		text += fmt.Sprintf("%c%+d", "eE"[r.IntN(2)], r.IntN(201)-100)
	}
	return text
}

func TestNumericRefusesWhatIsNoDecimal(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", ".", ".5", "-", "+", "-.5", "+-5", "-+5", "--5", "1.2.3", "1e", "e5", "1e1.5", "1e101", "1e-101", "1e+-5", "0x10", "1_000", "1,5",
		"NaN", "Infinity", "١", " 1", "1 ", strings.Repeat("1", 65), "1e99999999999999999999"} {
		if b, err := appendNumeric(nil, text); err == nil {
			t.Errorf("%q became %x", text, b)
		}
	}
}

func FuzzNumeric(f *testing.F) {
	for _, text := range []string{"0", "-12.5e-3", "1e100", "0.00010001", "+-5", "1.", "99999999999999999999", "1e-7"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := appendNumeric(nil, text)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q is no number and became %x", text, b)
		}
		if got := numeric(t, b); got.Cmp(want) != 0 {
			t.Errorf("%q became %s", text, got.FloatString(70))
		}
	})
}

// numeric reads the binary form back.
func numeric(tb testing.TB, b []byte) *big.Rat {
	tb.Helper()
	be := binary.BigEndian
	count, weight := int(be.Uint16(b)), int(int16(be.Uint16(b[2:])))
	if len(b) != 8+2*count {
		tb.Fatalf("%x: %d groups in %d bytes", b, count, len(b))
	}
	sum := new(big.Rat)
	for i := range count {
		group := be.Uint16(b[8+2*i:])
		if group > 9999 {
			tb.Fatalf("%x: group %d is %d", b, i, group)
		}
		power := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10000), big.NewInt(int64(max(weight-i, i-weight))), nil))
		if weight < i {
			power.Inv(power)
		}
		sum.Add(sum, power.Mul(power, new(big.Rat).SetInt64(int64(group))))
	}
	if be.Uint16(b[4:]) == 0x4000 {
		sum.Neg(sum)
	}
	return sum
}

// What is encoded by hand comes back as it was, in order, for both forms of a stage: times and dates, the widest numbers,
// no money. Of a record that came twice, the one that was said last comes back.
func TestRowsComeBackAsEncoded(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		period string
		g      extract.Granularity
	}{{"timestamptz", extract.Hour}, {"date", extract.Day}} {
		t.Run(kind.period, func(t *testing.T) {
			t.Parallel()
			const most = 1<<63 - 1
			rows := []stageRow{
				{start: at("1999-12-31"), series: 4, upload: -1, total: -1, unit: -1, billed: "1000"},
				{start: at("2000-01-01"), series: -3, upload: 1<<53 + 1, total: 1<<53 + 1, unit: 2, billed: "-12.5"},
				{start: at("2000-01-01"), series: 3, billed: "0.030"},
				{start: at("2024-02-29"), series: 1<<31 - 1, upload: most, download: most, total: most, unit: 1<<15 - 1, billed: "0.030"},
				{start: at("2026-03-10"), series: 1, unit: 0},
				{start: at("2026-03-10"), series: 2, billed: "12345678901234567890.123456789"},
			}
			w := &Walk{ID: 1, Parts: []*Part{{}}, Stream: Stream{Stream: extract.Stream{Granularity: kind.g}}}
			encode := func(rows ...stageRow) (page []byte) {
				for i := range rows {
					rows[i].days = kind.g == extract.Day
					var err error
					if page, err = appendRow(page, &rows[i], &digest{}); err != nil {
						t.Fatal(err)
					}
				}
				return page
			}
			before := rows[2]
			before.upload, before.billed = 77, ""
			r := &run{}
			r.add(encode(rows[5], before, rows[0]), w.periodSize())
			r.add(encode(rows[3], rows[1], rows[4], rows[2]), w.periodSize())
			r.sort()

			conn := MustConnect(t, postgres.Database(t, pgtest.Template{}))
			unpack, err := publishSQL.ReadFile("publish/unpack.sql")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), strings.Replace(w.sql(string(unpack)), "ON COMMIT DROP", "", 1)); err != nil {
				t.Fatal(err)
			}
			prefix := []byte("\x00\x08\x00\x00\x00\x04\x00\x00\x00\x07") // eight columns, run 7
			if _, err := conn.PgConn().CopyFrom(t.Context(), iotest.OneByteReader(r.reader(prefix)), `COPY pg_temp.stage (run, `+saidColumns+`) FROM STDIN BINARY`); err != nil {
				t.Fatal(err)
			}
			got, err := conn.Query(t.Context(), `SELECT `+saidColumns+`::text FROM pg_temp.stage WHERE run = 7`)
			if err != nil {
				t.Fatal(err)
			}
			back, err := pgx.CollectRows(got, func(row pgx.CollectableRow) (r stageRow, err error) {
				var billed *string
				err = row.Scan(&r.start, &r.series, &r.upload, &r.download, &r.total, &r.unit, &billed)
				if r.start, r.days = r.start.UTC(), kind.g == extract.Day; billed != nil {
					r.billed = *billed
				}
				return r, err
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				rows[i].days = kind.g == extract.Day
			}
			if !slices.Equal(back, rows) {
				t.Errorf("got  %v\nwant %v", back, rows)
			}
		})
	}
}

func TestDigestTellsSlicesApart(t *testing.T) {
	t.Parallel()
	row := stageRow{start: at("2026-03-10"), series: 1, upload: 1, download: 2, total: 3, unit: 1, billed: "0.05"}
	rows := []stageRow{row}
	for series := range int32(20) {
		r := row
		r.series += series + 1
		rows = append(rows, r)
	}
	sum := func(rows []stageRow) (d digest) {
		t.Helper()
		for i := range rows {
			if _, err := appendRow(nil, &rows[i], &d); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
	want := sum(rows)

	mixed := slices.Clone(rows)
	rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	if got := sum(mixed); got != want {
		t.Error("the order of rows changes the digest")
	}
	if got := digestOf(want.bytes()); got != want {
		t.Error("a digest does not come back from its bytes")
	}
	halves := sum(rows[:7])
	halves.plus(sum(rows[7:]))
	if halves != want {
		t.Error("the digests of the lists do not add up to that of the slice")
	}

	changes := map[string]func(*stageRow){
		"period_start": func(r *stageRow) { r.start = r.start.Add(time.Hour) }, "series": func(r *stageRow) { r.series = 99 },
		"upload": func(r *stageRow) { r.upload++ }, "download": func(r *stageRow) { r.download++ }, "total": func(r *stageRow) { r.total++ },
		"unit": func(r *stageRow) { r.unit++ }, "money": func(r *stageRow) { r.billed = "0.06" }, "no money": func(r *stageRow) { r.billed = "" },
		"up for down": func(r *stageRow) { r.upload, r.download = r.download, r.upload },
	}
	for name, change := range changes {
		other := slices.Clone(rows)
		change(&other[0])
		if sum(other) == want {
			t.Errorf("a change of %s does not change the digest", name)
		}
	}
	if sum(rows[1:]) == want || sum(append(slices.Clone(rows), row)) == want || sum(append(slices.Clone(rows), row, row)) == want {
		t.Error("a row less or more does not change the digest")
	}
}

// BenchmarkEncode is a page of a thousand records of known series: what a row costs before it goes out to Postgres.
func BenchmarkEncode(b *testing.B) {
	const size = 1000
	s := &Store{series: newSeriesCache(nil), units: newUnitCache()}
	s.units.ids["USD"] = 1
	w := &Walk{s: s, Stream: Stream{ID: 1, Account: Account{SID: accountSID}, Stream: extract.Stream{Granularity: extract.Hour, Group: extract.Sim}},
		Ask: extract.Window{Start: noon.Truncate(24 * time.Hour), End: noon.Truncate(time.Hour).Add(time.Hour)}}
	p := &extract.Page[extract.Record]{}
	known := make(map[seriesKey]int32)
	for i := range size {
		r := extract.Record{AccountSID: accountSID, SimSID: fmt.Sprintf("HS%032x", i), IsoCountry: "DE", Start: noon.Truncate(time.Hour),
			Upload: 123456, Download: 654321, Total: 777777, Billed: "0.0312", Unit: "USD"}
		known[keyOf(1, &r)] = int32(i + 1)
		p.Records = append(p.Records, r)
	}
	s.series.add(known)
	l := &List{Ask: w.Ask}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.encode(b.Context(), l, p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/row")
}
