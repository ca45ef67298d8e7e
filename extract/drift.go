package extract

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fastjson"
)

// The vendors add and rename fields without notice and without a version number. A new field may be data that nobody
// keeps; a field that went away reads as null, and null is a value like any other: sums go on, and are wrong. So every
// page tells the fields that it has and should not, and those that it should have and has not.
//
// The check is a bit for each known field, set while the record is read, and one comparison a page. An API that makes up
// a new name for every record gets no more than mostDrift of them through.

// Drift is a field of the API's answers that is new, or missing.
type Drift struct {
	// Resource is where in the answer: usage_records, usage_records.period, meta, or answer for the object around them.
	Resource string

	// Field is the name of the field, printable text of at most 64 bytes.
	Field string

	// Missing says that a field that is known was in no record of the page; otherwise the field is not known.
	Missing bool
}

// Kind is new or missing.
func (f Drift) Kind() string {
	if f.Missing {
		return "missing"
	}
	return "new"
}

func (f Drift) String() string { return f.Kind() + " " + f.Resource + "." + f.Field }

const (
	mostDrift    = 100 // of one page
	longestField = 64  // bytes of a field's name
)

const (
	inRecords = "usage_records"
	inPeriod  = "usage_records.period"
	inMeta    = "meta"
	inAnswer  = "answer"
)

// fieldSet is a set of known fields.
type fieldSet uint32

const (
	hasAccountSID fieldSet = 1 << iota
	hasSimSID
	hasFleetSID
	hasNetworkSID
	hasIsoCountry
	hasPeriod
	hasUpload
	hasDownload
	hasTotal
	hasBilled
	hasUnit
	hasStart
	hasEnd
	hasFirstPage
	hasKey
	hasNextPage
	hasPage
	hasPageSize
	hasPreviousPage
	hasURL
)

const (
	recordFields = hasUnit<<1 - hasAccountSID
	periodFields = hasStart | hasEnd
	metaFields   = hasURL<<1 - hasFirstPage
)

// known are the known fields, in the order of their bits.
func known() [20]Drift {
	return [...]Drift{
		{Resource: inRecords, Field: "account_sid"}, {Resource: inRecords, Field: "sim_sid"}, {Resource: inRecords, Field: "fleet_sid"},
		{Resource: inRecords, Field: "network_sid"}, {Resource: inRecords, Field: "iso_country"}, {Resource: inRecords, Field: "period"},
		{Resource: inRecords, Field: "data_upload"}, {Resource: inRecords, Field: "data_download"}, {Resource: inRecords, Field: "data_total"},
		{Resource: inRecords, Field: "data_total_billed"}, {Resource: inRecords, Field: "billed_unit"},
		{Resource: inPeriod, Field: "start_time"}, {Resource: inPeriod, Field: "end_time"},
		{Resource: inMeta, Field: "first_page_url"}, {Resource: inMeta, Field: "key"}, {Resource: inMeta, Field: "next_page_url"},
		{Resource: inMeta, Field: "page"}, {Resource: inMeta, Field: "page_size"}, {Resource: inMeta, Field: "previous_page_url"}, {Resource: inMeta, Field: "url"},
	}
}

// missing adds the fields that no part of the page has had. A page without records tells nothing about their fields.
func (d *decoder) missing() {
	absent := d.expected &^ d.seen
	if absent == 0 {
		return
	}
	for i, f := range known() {
		if absent&(1<<i) != 0 {
			f.Missing = true
			d.page.Drift = append(d.page.Drift, f)
		}
	}
}

// unknown adds a field that is not known, once.
func (d *decoder) unknown(resource string, key []byte) {
	field := fieldName(key)
	for i := range d.page.Drift {
		if f := &d.page.Drift[i]; f.Field == field && f.Resource == resource {
			return
		}
	}
	if len(d.page.Drift) < mostDrift {
		d.page.Drift = append(d.page.Drift, Drift{Resource: resource, Field: field})
	}
}

// condemned is why a page is refused, with the drift that it has: where sim_sid was renamed, no record has a SIM, and the
// reason is not that Group was ignored.
func (d *decoder) condemned(err error) error {
	d.missing()
	var fields []string
	for _, f := range d.page.Drift[:min(len(d.page.Drift), 10)] {
		fields = append(fields, f.String())
	}
	if len(fields) == 0 {
		return err
	}
	return fmt.Errorf("%w; but its fields are not as they are known: %s", err, strings.Join(fields, ", "))
}

// answerField reads one field of the object around everything.
func (d *decoder) answerField(key []byte, _ *fastjson.Value) {
	switch string(key) {
	case "usage_records", "meta":
	default:
		d.unknown(inAnswer, key)
	}
}

// metaField reads one field of meta. What it holds is of use in next_page_url and url only.
func (d *decoder) metaField(key []byte, _ *fastjson.Value) {
	switch string(key) {
	case "first_page_url":
		d.seen |= hasFirstPage
	case "key":
		d.seen |= hasKey
	case "next_page_url":
		d.seen |= hasNextPage
	case "page":
		d.seen |= hasPage
	case "page_size":
		d.seen |= hasPageSize
	case "previous_page_url":
		d.seen |= hasPreviousPage
	case "url":
		d.seen |= hasURL
	default:
		d.unknown(inMeta, key)
	}
}

// fieldName is the name of a field as it may be stored and shown: the vendor's own text, unless that is long or odd.
func fieldName(key []byte) string {
	if len(key) > longestField {
		end := longestField
		for end > longestField-utf8.UTFMax && !utf8.RuneStart(key[end]) {
			end-- // a rune that the cut has split goes away whole
		}
		key = key[:end]
	}
	name := unsafe.String(unsafe.SliceData(key), len(key)) // lasts until the next page, like all of a page
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f {
			return printable(name)
		}
	}
	return name
}

// printable is text with a question mark for each character that cannot be shown.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
