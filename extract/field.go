package extract

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fastjson"
)

const (
	longestSID    = 34 // bytes of a SID: two letters and 32 hexadecimal digits
	longestCode   = 8  // bytes of a country or a currency, with room for more than ISO's two and three letters
	longestAmount = 64 // bytes of an amount of money
	mostExponent  = 100
	mostRaw       = 8 << 10
)

// name reads a SID, a country or a currency: short, printable, without spaces. Anything else could not be stored as a
// key, and one such record would stop the whole page at the database.
func (d *decoder) name(v *fastjson.Value, most int, reason string) string {
	if v.Type() == fastjson.TypeNull {
		return ""
	}
	if v.Type() != fastjson.TypeString {
		d.row.reject(reason)
		return ""
	}
	s := text(v)
	ok := len(s) <= most
	for i := 0; ok && i < len(s); i++ {
		ok = s[i] > ' ' && s[i] < 0x7f
	}
	if !ok {
		d.row.reject(reason)
		return ""
	}
	return s
}

// bytes reads a number of bytes from its literal text, quoted or not; false when it is null.
func (d *decoder) bytes(v *fastjson.Value, reason string) (int64, bool) {
	switch v.Type() {
	case fastjson.TypeNull:
		return 0, false
	case fastjson.TypeNumber:
		d.literal = v.MarshalTo(d.literal[:0])
		n, ok := whole(d.literal)
		if !ok {
			d.row.reject(reason)
		}
		return n, true
	case fastjson.TypeString:
		n, ok := whole(v.GetStringBytes())
		if !ok {
			d.row.reject(reason)
		}
		return n, true
	}
	d.row.reject(reason)
	return 0, true
}

// whole is digits as an int64: no sign, no fraction, no exponent, no leading zero.
func whole(digits []byte) (int64, bool) {
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(digits) > 1 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0') // nineteen digits fit
	}
	return int64(n), n <= 1<<63-1
}

// amount reads an amount of money, a number or the text of one, and keeps its literal text.
func (d *decoder) amount(v *fastjson.Value) string {
	const reason = "data_total_billed is no decimal number"
	var s string
	switch v.Type() {
	case fastjson.TypeNull:
		return ""
	case fastjson.TypeString:
		s = text(v)
	case fastjson.TypeNumber:
		at := len(d.money)
		d.money = v.MarshalTo(d.money)
		s = unsafe.String(unsafe.SliceData(d.money[at:]), len(d.money)-at)
	}
	if !decimal(s) {
		d.row.reject(reason)
		return ""
	}
	return s
}

// decimal says whether text is a number as JSON writes it, of a size that Postgres can keep.
func decimal(s string) bool {
	if len(s) > longestAmount {
		return false
	}
	s = strings.TrimPrefix(s, "-")
	n := digits(s)
	if n == 0 || n > 1 && s[0] == '0' {
		return false
	}
	s = s[n:]
	if strings.HasPrefix(s, ".") {
		if n = digits(s[1:]); n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = s[1:]
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	exponent := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		exponent = min(exponent*10+int(s[i]-'0'), mostExponent+1)
	}
	return s != "" && exponent <= mostExponent
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// moment reads the times of one end of a period. It remembers the last, because a page has few periods and many
// records.
type moment struct {
	text string
	time time.Time
}

// read gives the zero time when the time cannot be read.
func (m *moment) read(v *fastjson.Value) time.Time {
	if v.Type() != fastjson.TypeString {
		return time.Time{}
	}
	s := text(v)
	if s == m.text {
		return m.time
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	m.text, m.time = s, t.UTC()
	return m.time
}

// upper is a country code in capitals, so that de and DE are one country. Few are not so already.
func upper(s string) string {
	for i := range len(s) {
		if s[i] >= 'a' && s[i] <= 'z' {
			return strings.ToUpper(s)
		}
	}
	return s
}

// rawRows are the texts of the records at some positions, as they came. They are looked up only on a page with
// rejected records, with a second, slow and strict reading: there are few of those, and the fast one keeps no positions.
func rawRows(body []byte, positions []int) ([]string, error) {
	if len(positions) == 0 {
		return nil, nil
	}
	var page struct {
		Rows []json.RawMessage `json:"usage_records"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	raws := make([]string, 0, len(positions))
	for _, i := range positions {
		if i >= len(page.Rows) {
			return nil, errors.New("the list is there twice")
		}
		raws = append(raws, capped(page.Rows[i]))
	}
	return raws, nil
}

// capped is valid UTF-8 of at most 8 KiB; a rune that the cut has split goes away whole.
func capped(raw []byte) string {
	if len(raw) > mostRaw {
		raw = raw[:mostRaw]
		for i := len(raw) - 1; i >= 0 && i > len(raw)-utf8.UTFMax; i-- {
			if utf8.RuneStart(raw[i]) {
				if !utf8.FullRune(raw[i:]) {
					raw = raw[:i]
				}
				break
			}
		}
	}
	return strings.ToValidUTF8(string(raw), "?")
}
