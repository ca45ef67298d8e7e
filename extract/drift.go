package extract

import (
	"fmt"
	"slices"
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
//
// What a page that is handed out has told goes along with it; what a refused one has told goes along with the error: it
// may well be why.

// Drift is a field of the API's answers that is new, or missing.
type Drift struct {
	// Resource is where in the answer: the list (usage_records, sims, fleets, networks), an object in its records
	// (usage_records.period, networks.identifiers), meta, or answer for the object around them.
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

// DriftError is an answer that is refused, and has fields that are not as they are known.
type DriftError struct {
	Err   error
	Drift []Drift
}

// Error is why the answer is refused, with the first of the fields: where sim_sid was renamed, no record has a SIM, and
// the reason is not that Group was ignored.
func (e *DriftError) Error() string {
	var fields []string
	for _, f := range e.Drift[:min(len(e.Drift), 10)] {
		fields = append(fields, f.String())
	}
	return fmt.Sprintf("%s; but its fields are not as they are known: %s", e.Err, strings.Join(fields, ", "))
}

func (e *DriftError) Unwrap() error { return e.Err }

const (
	mostDrift    = 100 // of one page
	longestField = 64  // bytes of a field's name
)

// sight is what a page shows of one kind of object.
type sight struct {
	shape
	met  bool   // whether the page has such an object: one without tells nothing about the fields
	seen uint64 // a bit for each field
	next int    // the field that is expected now, because objects mostly have their fields in one order
}

// has says whether a field is known, and notes that it is there.
func (s *sight) has(key []byte) bool {
	for range s.fields {
		i := s.next
		if s.next++; s.next == len(s.fields) {
			s.next = 0
		}
		if s.fields[i] == string(key) {
			s.seen |= 1 << i
			return true
		}
	}
	return false
}

// look shows each field of an object to visit; what is no object has none.
func (s *sight) look(v *fastjson.Value, visit func(key []byte, v *fastjson.Value)) {
	if v.Type() == fastjson.TypeObject {
		s.met, s.next = true, 0
		v.GetObject().Visit(visit)
	}
}

// expect begins a page of a kind of list.
func (d *decoder) expect(k *kind) {
	d.drift = d.drift[:0]
	d.answer, d.meta, d.record, d.part, d.holder = sight{shape: k.answer}, sight{shape: metaObject}, sight{shape: k.record}, sight{shape: k.part}, k.holder
}

// see says whether a field is known. One that is not is drift, once.
func (d *decoder) see(s *sight, key []byte) bool {
	if s.has(key) {
		return true
	}
	field := fieldName(key)
	for i := range d.drift {
		if f := &d.drift[i]; f.Field == field && f.Resource == s.resource {
			return false
		}
	}
	if len(d.drift) < mostDrift {
		d.drift = append(d.drift, Drift{Resource: s.resource, Field: field})
	}
	return false
}

// told is all drift of the page, with the fields that no object of their kind has had.
func (d *decoder) told() []Drift {
	for _, s := range []*sight{&d.record, &d.part, &d.meta, &d.answer} {
		for i, field := range s.fields {
			if s.met && s.seen&(1<<i) == 0 {
				s.seen |= 1 << i // missing once, however often this is asked
				d.drift = append(d.drift, Drift{Resource: s.resource, Field: field, Missing: true})
			}
		}
	}
	return d.drift
}

// condemned is why the page is refused, with the drift that it has. Its text is copied: an error outlives the page.
func (d *decoder) condemned(err error) error {
	drift := slices.Clone(d.told())
	if len(drift) == 0 {
		return err
	}
	for i := range drift {
		drift[i].Field = strings.Clone(drift[i].Field)
	}
	return &DriftError{Err: err, Drift: drift}
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
