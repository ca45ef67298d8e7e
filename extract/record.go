package extract

import "time"

// Record is one usage record, normalized: what the API says about one bucket of time and one value of
// each dimension that was asked for. A dimension that was not broken down, or that the API left null,
// is the empty string.
type Record struct {
	AccountSID string
	SimSID     string
	FleetSID   string
	NetworkSID string
	IsoCountry string

	// Start is the beginning of the bucket, UTC. Its end follows from the stream's granularity.
	Start time.Time

	// Upload, Download and Total are bytes. Total is the vendor's own figure, not our sum.
	Upload, Download, Total int64

	// Billed is the amount of money as the literal decimal text of the answer (never through a float), for
	// example "0.03"; empty when the API gave null. Unit is its ISO 4217 currency, empty until billing has arrived.
	Billed string
	Unit   string
}

// Get is the record's value of a dimension; empty when it was not broken down or the API left it null.
func (r *Record) Get(d Dimension) string {
	switch d {
	case Sim:
		return r.SimSID
	case Fleet:
		return r.FleetSID
	case Network:
		return r.NetworkSID
	case Country:
		return r.IsoCountry
	}
	return ""
}

// Rejected is a record that could not be understood: it is kept with its raw text, not dropped. Reason is a short
// phrase that stays the same for the same mistake, so rejected records can be counted by it. Raw is valid UTF-8 of
// at most 8 KiB.
type Rejected struct {
	Reason string
	Raw    string
}

// Page is one answer of a list: of usage records, or of the names of SIMs, fleets or networks. Its usage records and its
// drift share memory with the walk that yielded it: they are valid until the next page is asked for.
type Page[T any] struct {
	Records []T

	// Rejected and Mismatched are of usage records only. Mismatched counts those whose total is not the sum of upload and
	// download; they are among Records.
	Rejected   []Rejected
	Mismatched int

	// Drift are the fields that are not as they are known to be, each once.
	Drift []Drift

	// Next is the address of the following page, checked to be of the API's own origin; empty on the last page. It
	// is the cursor: handing it to Pages again goes on behind this page.
	Next string
}
