package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"simusage/extract"
	"simusage/load"
)

// Verify asks the API again, without a group, by country and by SIM, a day a bucket, and holds the answers against the
// daily views that readers see. It asks other questions than the ones that the views were loaded from (days instead of
// hours, one dimension instead of two), so it finds what a mistake of ours would have put there, not just what changed
// since. It writes nothing, and it keeps one sum for each day and view, however many SIMs there are: the rows are
// compared by number, by sums, and by the sum of their hashes, which is equal for equal rows in any order.

// Verdict is one day of one view against the API.
type Verdict struct {
	Account, View  string
	Day            time.Time
	API, Warehouse DaySum
	// Trimmed says that the hours of the day were dropped: it stays as it is, whatever the API says now.
	Trimmed bool
}

// Equal says whether every row of the day is the same on both sides.
func (v Verdict) Equal() bool { return v.API.equal(v.Warehouse) }

// DaySum is what the rows of a day come to: bytes, and money by currency as a decimal.
type DaySum struct {
	Rows  int64
	Bytes int64
	Money map[string]string

	upload, download int64
	money            map[string]*big.Rat
	hash             [2]uint64
}

func (s *DaySum) add(r load.DayRow) error {
	s.Rows++
	s.Bytes += r.Total
	s.upload += r.Upload
	s.download += r.Download
	amount := new(big.Rat)
	if r.Billed != "" {
		if _, ok := amount.SetString(r.Billed); !ok {
			return fmt.Errorf("amount %q is no decimal", r.Billed)
		}
	}
	if r.Unit != "" {
		if s.money == nil {
			s.money = make(map[string]*big.Rat)
		}
		if s.money[r.Unit] == nil {
			s.money[strings.Clone(r.Unit)] = new(big.Rat) // a record's text lasts no longer than its page
		}
		s.money[r.Unit].Add(s.money[r.Unit], amount)
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d %d %d %s %s", r.Key, r.Upload, r.Download, r.Total, amount.RatString(), r.Unit))
	s.hash[0] += binary.BigEndian.Uint64(h[:8])
	s.hash[1] += binary.BigEndian.Uint64(h[8:16])
	return nil
}

// less is what o lacks of s, as a row without a name; false when that is nothing, or not of one currency.
func (s DaySum) less(o DaySum) (load.DayRow, bool) {
	r := load.DayRow{Upload: s.upload - o.upload, Download: s.download - o.download, Total: s.Bytes - o.Bytes}
	if len(s.money) > 1 || min(r.Upload, r.Download, r.Total) < 0 || max(r.Upload, r.Download, r.Total) == 0 {
		return r, false
	}
	for unit, amount := range s.money {
		rest := new(big.Rat).Set(amount)
		if other := o.money[unit]; other != nil {
			rest.Sub(rest, other)
		}
		r.Unit, r.Billed = unit, rest.RatString()
	}
	return r, true
}

func (s DaySum) equal(o DaySum) bool {
	return s.Rows == o.Rows && s.Bytes == o.Bytes && s.upload == o.upload && s.download == o.download && s.hash == o.hash && maps.Equal(s.Money, o.Money)
}

// done makes the amounts readable.
func (s *DaySum) done() {
	s.Money = make(map[string]string, len(s.money))
	for unit, amount := range s.money {
		s.Money[unit] = decimal(amount)
	}
}

// decimal is an amount, exactly, without trailing zeros.
func decimal(amount *big.Rat) string {
	digits, exact := amount.FloatPrec()
	if !exact {
		return amount.RatString()
	}
	return amount.FloatString(digits)
}

// verified are the families that a day can be asked for in one list.
var verified = []struct {
	family string
	group  extract.Dimension
}{{"total", extract.Total}, {"country", extract.Country}, {"sim", extract.Sim}}

// ErrUnequal says that verify found a difference.
var ErrUnequal = errors.New("the warehouse and the API differ")

// Verify compares the finished days of a window, from the day of its start on, and tells a verdict for each; the error is ErrUnequal when one is not equal
// that could be read again. Families that no stream feeds are left out.
func (j *Job) Verify(ctx context.Context, window extract.Window, tell func(Verdict)) error {
	const day = 24 * time.Hour
	window = extract.Window{Start: window.Start.UTC().Truncate(day), End: window.End.UTC().Truncate(day)}
	unequal := 0
	for _, a := range j.Accounts {
		streams, err := j.Store.Peek(ctx, a.Name, a.SID, a.Streams, j.Now())
		if err != nil {
			return err
		}
		feeds, err := load.Feeds(a.Streams)
		if err != nil {
			return err
		}
		totals := make(map[extract.Filter]map[time.Time]DaySum)
		for _, v := range verified {
			i := slices.IndexFunc(feeds, func(f load.Feed) bool { return f.Family == v.family && f.Grain == "day" })
			if i < 0 || len(streams) == 0 {
				continue
			}
			ask := extract.Stream{Granularity: extract.Day, Group: v.group, Fixed: feeds[i].Stream.Fixed}
			if totals[ask.Fixed] == nil {
				totals[ask.Fixed] = make(map[time.Time]DaySum)
			}
			for _, slice := range ask.Slices(window) {
				part := ask.Ask(a.bound(slice.Intersect(window)), j.Now())
				if part.Empty() {
					continue
				}
				n, err := j.compare(ctx, a, streams[0].Account, v.family, ask, part, totals[ask.Fixed], tell)
				if err != nil {
					return fmt.Errorf("verify %s_daily %s: %w", v.family, part, err)
				}
				unequal += n
			}
		}
	}
	if unequal > 0 {
		return fmt.Errorf("%w on %d days of views", ErrUnequal, unequal)
	}
	return nil
}

// compare does one list of the API and the same part of a view. totals are the sums of the days without a group: filled when
// that is what is asked, and otherwise what the answer lacks of them is a row without a name, as the views have it.
func (j *Job) compare(ctx context.Context, a Account, account load.Account, family string, ask extract.Stream, part extract.Window, totals map[time.Time]DaySum, tell func(Verdict)) (unequal int, err error) {
	api, warehouse := make(map[time.Time]*DaySum), make(map[time.Time]*DaySum)
	for day := part.Start; day.Before(part.End); day = day.AddDate(0, 0, 1) {
		api[day], warehouse[day] = new(DaySum), new(DaySum)
	}
	for page, err := range a.Client.Pages(ctx, ask.Query(part, ""), "") {
		if err != nil {
			return 0, err
		}
		for i := range page.Records {
			r := &page.Records[i]
			if err := account.Is(r.AccountSID); err != nil {
				return 0, err
			}
			row := load.DayRow{Key: r.Get(ask.Group), Upload: r.Upload, Download: r.Download, Total: r.Total, Billed: r.Billed, Unit: r.Unit}
			if err := api[r.Start].add(row); err != nil {
				return 0, err
			}
		}
	}
	for day, sum := range api {
		if ask.Group == extract.Total {
			totals[day] = *sum
		} else if rest, some := totals[day].less(*sum); some {
			if err := sum.add(rest); err != nil {
				return 0, err
			}
		}
	}
	err = j.Store.DailyRows(ctx, account, family, part, func(r load.DayRow) error { return warehouse[r.Day.UTC()].add(r) })
	if err != nil {
		return 0, err
	}
	trimmed, err := j.Store.TrimmedDays(ctx, account, family, part)
	if err != nil {
		return 0, err
	}
	for _, day := range slices.SortedFunc(maps.Keys(api), time.Time.Compare) {
		api[day].done()
		warehouse[day].done()
		v := Verdict{Account: account.Name, View: family + "_daily", Day: day, API: *api[day], Warehouse: *warehouse[day], Trimmed: trimmed[day]}
		if !v.Equal() && !v.Trimmed {
			unequal++
		}
		tell(v)
	}
	return unequal, nil
}
