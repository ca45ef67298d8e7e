package extract

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/valyala/fastjson"
)

// An answer is read tolerantly and exactly. Tolerantly: unknown fields are only told, every field may be null, numbers
// may be quoted, and a record that makes no sense is set aside with its text instead of ending the walk. Exactly:
// bytes and money come from the literal text of the answer; a float in between would round from 2^53 bytes on, and
// 0.1 + 0.2 is not 0.3. A body that was cut off is an error: it must never pass for a short page, because a short page
// looks like the end of a list. The parser sees to that, and each value that is kept is checked by its own rules; what
// nobody reads need not be JSON to the letter.
//
// A record costs less than a microsecond and no allocation: nothing beside the third of a second that the API takes for a
// page. For that, the text of a record is not copied: it points into the decoder's buffers, which the next page overwrites.

// decoder turns bodies into pages, one at a time, in buffers that it keeps.
type decoder struct {
	body   bytes.Buffer
	unzip  *gzip.Reader
	parser fastjson.Parser

	page       Page[Record]
	row        row
	money      []byte // the literal text of numbers that are kept
	literal    []byte // of the number at hand
	start, end moment
	kind       string // media type of the body
	rejected   []int  // positions of the rejected records

	drift                      []Drift
	answer, meta, record, part sight
	holder                     string // the field of a record that holds the part

	// Made once: making one for each record would be its only allocation.
	onAnswer, onMeta, onField, onBound, onName, onPart func(key []byte, v *fastjson.Value)
}

// row is the record at hand.
type row struct {
	record                  Record
	end                     time.Time
	period                  bool
	total, upload, download bool
	reason                  string
}

// maxDecoders bounds the pages that are in memory at once, about 3 MB each: being read, or being taken in.
const maxDecoders = 4

// decoders are the decoders of a Client: at most maxDecoders are out, and the one that came back last goes out first.
type decoders struct {
	room chan struct{}
	mu   sync.Mutex
	idle []*decoder
}

func newDecoders() *decoders { return &decoders{room: make(chan struct{}, maxDecoders)} }

func (p *decoders) take(ctx context.Context) (*decoder, error) {
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return newDecoder(), nil
	}
	d := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return d, nil
}

func (p *decoders) put(d *decoder) {
	p.mu.Lock()
	p.idle = append(p.idle, d)
	p.mu.Unlock()
	<-p.room
}

func newDecoder() *decoder {
	d := new(decoder)
	d.onAnswer = func(key []byte, _ *fastjson.Value) { d.see(&d.answer, key) }
	d.onMeta = func(key []byte, _ *fastjson.Value) { d.see(&d.meta, key) }
	d.onPart = func(key []byte, _ *fastjson.Value) { d.see(&d.part, key) }
	d.onField, d.onBound, d.onName = d.field, d.bound, d.nameField
	return d
}

// reject keeps the first reason.
func (r *row) reject(reason string) {
	if r.reason == "" {
		r.reason = reason
	}
}

// decode reads the body as the answer to q.
func (d *decoder) decode(q question) (*Page[Record], error) {
	list, meta, err := d.open(&usageList, q.limit)
	if err != nil {
		return nil, err
	}
	d.reset()
	check := inspection{question: q}
	for i, v := range list.GetArray() { // to the end, also of a page that is refused: a field is missing if no record has it
		d.decodeRow(v)
		if err == nil {
			err = check.row(&d.row)
		}
		d.keep(i)
	}
	if err == nil {
		err = check.page()
	}
	if err != nil {
		return nil, err
	}
	if d.page.Next, err = nextOf(meta); err != nil {
		return nil, err
	}
	d.page.Drift = d.told()
	raws, err := rawRows(d.body.Bytes(), d.rejected)
	if err != nil {
		return nil, d.notJSON()
	}
	for at, raw := range raws {
		d.page.Rejected[at].Raw = raw
	}
	return &d.page, nil
}

// open reads what answers of all kinds have around their records: a list of at most limit of them, and meta, which says
// where it goes on. An answer that has neither is none of the API's, and its fields are nobody's drift.
func (d *decoder) open(k *kind, limit int) (list, meta *fastjson.Value, err error) {
	d.expect(k)
	root, err := d.parse()
	if err != nil {
		return nil, nil, err
	}
	key := k.record.resource
	list, meta = root.Get(key), root.Get("meta")
	if list != nil || meta != nil {
		d.answer.look(root, d.onAnswer)
	}
	if list == nil || list.Type() != fastjson.TypeArray {
		return nil, nil, fmt.Errorf("%w: it has no list %s", ErrAnswer, key)
	}
	if meta == nil || meta.Type() != fastjson.TypeObject {
		return nil, nil, fmt.Errorf("%w: it has no meta, so no telling whether the list goes on", ErrAnswer)
	}
	d.meta.look(meta, d.onMeta)
	if n := len(list.GetArray()); n > limit {
		return nil, nil, fmt.Errorf("%w: %d records on a page of %d: PageSize was ignored", ErrAnswer, n, limit)
	}
	return list, meta, nil
}

// parse reads the whole body, to its last brace.
func (d *decoder) parse() (*fastjson.Value, error) {
	root, err := d.parser.ParseBytes(d.body.Bytes())
	if err != nil {
		return nil, d.notJSON()
	}
	if root.Type() != fastjson.TypeObject {
		return nil, fmt.Errorf("%w: it is no JSON object", ErrAnswer)
	}
	return root, nil
}

func (d *decoder) notJSON() error {
	return fmt.Errorf("read the answer: %d bytes of %s that are not whole JSON", d.body.Len(), d.kind)
}

func (d *decoder) reset() {
	d.page.Records = d.page.Records[:0]
	d.page.Rejected = nil
	d.page.Mismatched = 0
	d.money = d.money[:0]
	d.start, d.end = moment{}, moment{}
	d.rejected = d.rejected[:0]
}

// decodeRow reads one record into d.row.
func (d *decoder) decodeRow(v *fastjson.Value) {
	d.row = row{}
	r := &d.row
	if v.Type() != fastjson.TypeObject {
		r.reject("not an object")
		return
	}
	d.record.look(v, d.onField)
	switch {
	case !r.total:
		r.reject("no data_total")
	case !r.upload:
		r.reject("no data_upload")
	case !r.download:
		r.reject("no data_download")
	case !r.period:
		r.reject("no period that can be read")
	}
}

// keep puts the row at hand where it belongs.
func (d *decoder) keep(i int) {
	r := &d.row
	if r.reason != "" {
		d.page.Rejected = append(d.page.Rejected, Rejected{Reason: r.reason})
		d.rejected = append(d.rejected, i)
		return
	}
	if sum := r.record.Upload + r.record.Download; sum != r.record.Total {
		d.page.Mismatched++
	}
	d.page.Records = append(d.page.Records, r.record)
}

// field reads one field of the row at hand.
func (d *decoder) field(key []byte, v *fastjson.Value) {
	if !d.see(&d.record, key) {
		return
	}
	r := &d.row
	switch string(key) {
	case "account_sid":
		r.record.AccountSID = d.name(v, longestSID, "account_sid is no SID")
	case "sim_sid":
		r.record.SimSID = d.name(v, longestSID, "sim_sid is no SID")
	case "fleet_sid":
		r.record.FleetSID = d.name(v, longestSID, "fleet_sid is no SID")
	case "network_sid":
		r.record.NetworkSID = d.name(v, longestSID, "network_sid is no SID")
	case "iso_country":
		r.record.IsoCountry = upper(d.name(v, longestCode, "iso_country is no country code"))
	case "billed_unit":
		r.record.Unit = d.name(v, longestCode, "billed_unit is no currency")
	case "data_total":
		r.record.Total, r.total = d.bytes(v, "data_total is no whole number of bytes")
	case "data_upload":
		r.record.Upload, r.upload = d.bytes(v, "data_upload is no whole number of bytes")
	case "data_download":
		r.record.Download, r.download = d.bytes(v, "data_download is no whole number of bytes")
	case "data_total_billed":
		r.record.Billed = d.amount(v)
	case "period":
		d.part.look(v, d.onBound)
		r.period = !r.record.Start.IsZero() && !r.end.IsZero()
	}
}

// bound reads one end of the period of the row at hand.
func (d *decoder) bound(key []byte, v *fastjson.Value) {
	d.see(&d.part, key)
	switch string(key) {
	case "start_time":
		d.row.record.Start = d.start.read(v)
	case "end_time":
		d.row.end = d.end.read(v)
	}
}

// nextOf is the address of the next page. It is copied: it outlives the page.
func nextOf(meta *fastjson.Value) (string, error) {
	next := meta.Get("next_page_url")
	if next == nil || next.Type() == fastjson.TypeNull {
		return "", nil
	}
	if next.Type() != fastjson.TypeString {
		return "", fmt.Errorf("%w: next_page_url is no text", ErrAnswer)
	}
	if own := meta.Get("url"); own != nil && own.Type() == fastjson.TypeString && text(own) == text(next) {
		return "", fmt.Errorf("%w: the page is its own next page", ErrAnswer)
	}
	return strings.Clone(text(next)), nil
}

func isAnswer(err error) bool { return errors.Is(err, ErrAnswer) }

// text is a string value without a copy; it lasts until the next page, like all of a record.
func text(v *fastjson.Value) string {
	b := v.GetStringBytes()
	return unsafe.String(unsafe.SliceData(b), len(b))
}
