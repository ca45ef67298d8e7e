package load

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// The binary COPY format, written by hand: pgx's CopyFrom costs 2 µs a row, this 0.1 µs. What a row says is
//
//	period_start timestamptz or date, series_id int4, data_upload, data_download, data_total int8, billed_unit_id int2,
//	data_total_billed numeric
//
// The stage keeps just these bytes, the digest is made of them, and COPY gets them behind a prefix that is the same for many
// rows.

const saidColumns = "period_start, series_id, data_upload, data_download, data_total, billed_unit_id, data_total_billed"

// copyHeader is the signature, no flags, no extension.
const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// stageRow is what a row says.
type stageRow struct {
	start                   time.Time
	days                    bool // period_start is a date
	series                  int32
	upload, download, total int64
	unit                    int16
	billed                  string // decimal text, empty for NULL
}

// appendRow appends what a row says and adds its hash to the digest.
func appendRow(b []byte, r *stageRow, d *digest) ([]byte, error) {
	be := binary.BigEndian
	said := len(b)
	if since := r.start.Sub(epoch); r.days {
		b = be.AppendUint32(be.AppendUint32(b, 4), uint32(int32(since/(24*time.Hour))))
	} else {
		b = be.AppendUint64(be.AppendUint32(b, 8), uint64(since.Microseconds()))
	}
	b = be.AppendUint32(be.AppendUint32(b, 4), uint32(r.series))
	for _, v := range [...]int64{r.upload, r.download, r.total} {
		b = be.AppendUint64(be.AppendUint32(b, 8), uint64(v))
	}
	b = be.AppendUint16(be.AppendUint32(b, 2), uint16(r.unit))
	if r.billed == "" {
		b = be.AppendUint32(b, 0xffffffff)
	} else {
		at := len(b)
		b = be.AppendUint32(b, 0)
		var err error
		if b, err = appendNumeric(b, r.billed); err != nil {
			return nil, err
		}
		be.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	d.add(b[said:])
	return b, nil
}

// appendCopyEnd appends the trailer of the format.
func appendCopyEnd(b []byte) []byte { return append(b, 0xff, 0xff) }

// appendNumeric appends a decimal text (sign, digits, fraction, exponent) in numeric's binary form: base-10000 digits,
// the weight of the first one, the sign, and how many decimals to show. Text in, digits out: no float on the way.
func appendNumeric(b []byte, text string) ([]byte, error) {
	mantissa, exponent, err := cutExponent(text)
	if err != nil {
		return nil, err
	}
	sign := uint16(0)
	if rest, ok := strings.CutPrefix(mantissa, "-"); ok {
		mantissa, sign = rest, 0x4000
	} else {
		mantissa = strings.TrimPrefix(mantissa, "+")
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole == "" {
		return nil, fmt.Errorf("%q is not a decimal number", text)
	}
	var room [80]byte
	digits := append(append(room[:0], whole...), fraction...)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return nil, fmt.Errorf("%q is not a decimal number", text)
		}
	}
	point := len(whole) + exponent // how many digits stand before the decimal point
	scale := max(len(digits)-point, 0)

	// Cut the digits into groups of four that are aligned on the decimal point.
	lead := point % 4
	if lead < 0 {
		lead += 4
	}
	weight := (point-lead)/4 - 1
	if lead > 0 {
		weight++
	}
	header := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	count := 0
	for i := 0; i < len(digits); {
		width := 4
		if i == 0 && lead > 0 {
			width = lead
		}
		group := uint16(0)
		for j := range width {
			group *= 10
			if i+j < len(digits) {
				group += uint16(digits[i+j] - '0')
			}
		}
		i += width
		if count == 0 && group == 0 {
			weight-- // no leading zero groups
			continue
		}
		b = binary.BigEndian.AppendUint16(b, group)
		count++
	}
	for count > 0 && b[len(b)-1] == 0 && b[len(b)-2] == 0 {
		b = b[:len(b)-2]
		count--
	}
	if count == 0 {
		weight, sign = 0, 0
	}
	be := binary.BigEndian
	be.PutUint16(b[header:], uint16(count))
	be.PutUint16(b[header+2:], uint16(int16(weight)))
	be.PutUint16(b[header+4:], sign)
	be.PutUint16(b[header+6:], uint16(scale))
	return b, nil
}

// cutExponent splits 12.5e-3 into 12.5 and -3.
func cutExponent(text string) (mantissa string, exponent int, err error) {
	at := strings.IndexAny(text, "eE")
	if len(text) > 64 {
		return "", 0, fmt.Errorf("a decimal number of %d characters", len(text))
	}
	if at < 0 {
		return text, 0, nil
	}
	if exponent, err = strconv.Atoi(text[at+1:]); err != nil || exponent > 100 || exponent < -100 {
		return "", 0, fmt.Errorf("%q is not a decimal number", text)
	}
	return text[:at], exponent, nil
}

// digest is the sum, modulo 2^128, of the hashes of rows. A sum does not depend on the order of the rows, and grows with
// the pages of a list: it is kept in the checkpoint beside the cursor.
type digest struct{ hi, lo uint64 }

func (d *digest) add(row []byte) {
	h := sha256.Sum256(row)
	d.plus(digest{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16])})
}

func (d *digest) plus(o digest) {
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, o.lo, 0)
	d.hi, _ = bits.Add64(d.hi, o.hi, carry)
}

func (d digest) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, d.hi), d.lo)
}

func digestOf(b []byte) digest {
	return digest{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// digests are the digests of a list as its checkpoint has them: one for each calendar slice of what the walk asks for, in
// order of time, whoever is a part of it; none of them yet where the length is another.
type digests string

func (d digests) bytes() []byte { return []byte(d) }

// split are the digests one by one, of n slices.
func (d digests) split(n int) []digest {
	sums := make([]digest, n)
	if len(d) == 16*n {
		for i := range sums {
			sums[i] = digestOf([]byte(d[16*i:]))
		}
	}
	return sums
}

func joined(sums []digest) digests {
	var b []byte
	for _, sum := range sums {
		b = append(b, sum.bytes()...)
	}
	return digests(b)
}
