// Package extract asks the Super SIM API for usage and hands it out a page at a time. It knows no database.
//
// # The protocol
//
// One address, GET /v1/UsageRecords, takes eleven parameters. Six say which usage is meant: Sim, Fleet, Network and
// IsoCountry narrow, Group breaks down by one of the same four, Granularity is the width of the buckets. Two say when:
// StartTime and EndTime. Three walk the list: PageSize, Page and PageToken. The answer is a page of records and
// the address of the next page; an answer without such an address is the last. Nothing else marks a position: the order
// of records within a bucket is not defined, they may shift between two pages, and there is no id. So the only
// cursor is that address, word for word, and Pages goes on from it in another process as it does in this one.
//
// # What goes wrong, and what is done about it
//
// Two kinds of failure matter. The loud ones end a list early: the network, a 5xx, a throttle, a token that has
// expired. Reading changes nothing, so these are tried again (Retry), with fewer requests in flight after a 429 and
// with smaller pages after repeated 500s; what is left over comes out as one of the errors that say what to do next.
//
// The quiet ones would be loaded as if they were usage. A body that was cut off looks like a short page, and a short
// page like the end of a list: so what is not whole JSON is a failure. A parameter that gets lost is ignored, and
// the answer is to another question: so every page is held against what was asked (ErrAnswer). A number of bytes or an
// amount that passes through a float is rounded: so both are read from their literal text. A record that cannot be
// understood is handed out as Rejected with its text, because dropping it and failing on it both lose usage.
//
// An answer also says where to go next, and the credentials go along. So the next address must be of the same
// scheme, host, port and path, redirects are not followed, and no error or log line shows a secret, a whole page
// token or the userinfo of an address.
//
// # What to ask
//
// A Stream is one thing that is asked for, again and again. Slices cuts a window of it on the calendar, Ask says which
// part of a slice can be asked for now, and Query makes the question. A stream with a fan-out is asked once for each
// value of the fan-out dimension; Discovery is the question which values there are.
//
//	for _, slice := range stream.Slices(window) {
//		w := stream.Ask(slice, now)
//		if w.Empty() {
//			continue
//		}
//		for page, err := range client.Pages(ctx, stream.Query(w, ""), "") {
//			…
//		}
//	}
package extract
