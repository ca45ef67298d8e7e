// Package report draws what the warehouse says as one HTML file that needs nothing but a browser.
//
// It reads the views of schema usage and nothing else, so that whoever may read those may make a report. All of it is read in
// one transaction, which sees one moment: a sync that publishes meanwhile cannot make two tables disagree. What is many is
// summed and cut off in SQL; a hundred thousand SIMs cost time there and neither memory here nor room in the file.
//
// How far the numbers can be trusted stands above them. Names of SIMs and fleets are text of strangers: html/template writes
// all of it, and a content security policy in the file lets no script run but ours, and nothing reach a network.
package report

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say what a report is about.
type Options struct {
	// From and To are days, UTC; To does not belong to it. A zero To is the day of Now, so that the last day is over; a zero
	// From is 30 days before To, or the first day with usage if that is later.
	From, To time.Time
	// Now is when the report is made.
	Now time.Time
}

// defaultDays is how long a report is that nobody gave a length.
const defaultDays = 30

// most bound what is listed, in the file and in memory.
const (
	mostAccounts  = 12 // that can be chosen one by one; all of them are in the sums
	mostSims      = 20
	mostCountries = 40
	mostFleets    = 40
	mostAnomalies = 30
	mostIdle      = 40
	mostPrices    = 40
)

// Write asks the views, in the transaction, and writes the page.
func Write(ctx context.Context, tx pgx.Tx, w io.Writer, o Options) error {
	o.Now = o.Now.UTC()
	today := o.Now.Truncate(24 * time.Hour)
	if o.To.IsZero() {
		o.To = today
	}
	trim := o.From.IsZero()
	if trim {
		o.From = o.To.AddDate(0, 0, -defaultDays)
	}
	q := questioner{ctx: ctx, tx: tx, from: o.From, to: o.To}
	accounts, err := ask[account](q, "accounts", nil)
	if err != nil {
		return err
	}
	p := page{To: o.To, Now: o.Now, Accounts: accounts, Charts: Charts()}
	for i, a := range chosen(accounts) {
		s := scope{Account: a, ID: fmt.Sprintf("s%d", i)}
		if err := s.ask(q); err != nil {
			return err
		}
		if trim && i == 0 && len(s.used) > 0 {
			q.from = s.used[0].Day
		}
		p.Scopes = append(p.Scopes, s)
	}
	lists, err := askLists(q)
	if err != nil {
		return err
	}
	p.From = q.from
	for i := range p.Scopes {
		s := &p.Scopes[i]
		s.from, s.to = q.from, q.to
		s.take(lists)
	}
	return p.write(w)
}

// chosen are the accounts that the page can show one by one, behind all of them together.
func chosen(accounts []account) []account {
	if len(accounts) < 2 {
		return []account{{}}
	}
	return append([]account{{}}, accounts[:min(len(accounts), mostAccounts)]...)
}
