package report

import (
	"cmp"
	"slices"
	"time"
)

// scope is what the page says about one account, or about all of them together.
type scope struct {
	ID      string // in the page
	Account account
	from    time.Time
	to      time.Time

	used      []used
	simDays   map[[2]string][]simDay
	prices    []price
	unbilled  []unbilled
	agreement []agreement
	notes     []notes

	Streams   []stream
	Sims      list[sim]
	Fleets    list[fleet]
	Anomalies list[anomaly]
	Idle      list[idle]
}

// country is what a country used and cost in the window.
type country struct {
	Code, Name string
	Bytes      int64
	Share      float64 // of all
	Money      []amount
}

// Total is the bytes of the window.
func (s *scope) Total() (bytes int64) {
	for _, u := range s.used {
		bytes += u.Bytes
	}
	return bytes
}

// Money is what the window cost.
func (s *scope) Money() []amount {
	p := make(purse)
	for _, u := range s.used {
		p.add(u.Amount, u.Unit)
	}
	return p.amounts()
}

// Countries are the first of the countries with usage.
func (s *scope) Countries() list[country] {
	all := s.countries()
	return list[country]{all[:min(len(all), mostCountries)], int64(len(all))}
}

// countries are all countries with usage, the largest first.
func (s *scope) countries() []country {
	byCode := make(map[string]*country)
	money := make(map[string]purse)
	for _, u := range s.used {
		c := byCode[u.IsoCountry]
		if c == nil {
			c = &country{Code: u.IsoCountry, Name: countryName(u)}
			byCode[u.IsoCountry], money[u.IsoCountry] = c, make(purse)
		}
		c.Bytes += u.Bytes
		money[u.IsoCountry].add(u.Amount, u.Unit)
	}
	var all []country
	total := s.Total()
	for code, c := range byCode {
		if c.Bytes == 0 {
			continue
		}
		c.Share, c.Money = float64(c.Bytes)/float64(total), money[code].amounts()
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b country) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Code, b.Code)) })
	return all
}

// countryName is the name of a country, or why there is none.
func countryName(u used) string {
	switch {
	case u.Country != nil:
		return *u.Country
	case u.IsoCountry == "":
		return "Not named by the API"
	}
	return u.IsoCountry
}

// day is what was used on a day, split up as the chart is, and what it cost.
type day struct {
	Day     time.Time
	Bytes   int64
	Parts   []int64
	Money   []amount
	Settled bool // what there is of it is final
}

// stacked is how many countries the chart of the days tells apart.
const stacked = 6

// Split are the parts of a day, in the order of the chart: the largest countries, then all others.
func (s *scope) Split() (parts []string) {
	for i, c := range s.countries() {
		if i == stacked {
			return append(parts, "All others")
		}
		parts = append(parts, c.Name)
	}
	return parts
}

// Days are the days of the window, also those without usage.
func (s *scope) Days() []day {
	place, parts := make(map[string]int), len(s.Split())
	for i, c := range s.countries() {
		place[c.Code] = min(i, stacked)
	}
	days := make([]day, int(s.to.Sub(s.from)/(24*time.Hour)))
	money := make([]purse, len(days))
	for i := range days {
		days[i] = day{Day: s.from.AddDate(0, 0, i), Parts: make([]int64, parts), Settled: true}
		money[i] = make(purse)
	}
	for _, u := range s.used {
		i := int(u.Day.Sub(s.from) / (24 * time.Hour))
		if i < 0 || i >= len(days) {
			continue
		}
		d := &days[i]
		d.Bytes, d.Settled = d.Bytes+u.Bytes, d.Settled && u.Settled
		if u.Bytes > 0 {
			d.Parts[place[u.IsoCountry]] += u.Bytes
		}
		money[i].add(u.Amount, u.Unit)
	}
	for i := range days {
		days[i].Money = money[i].amounts()
	}
	return days
}

// Peak is the day with most usage.
func (s *scope) Peak() (peak day) {
	for _, d := range s.Days() {
		if d.Bytes > peak.Bytes {
			peak = d
		}
	}
	return peak
}

// Prices are what data costs where.
func (s *scope) Prices() (l list[price]) {
	for _, p := range s.prices {
		l.Rows, l.All = append(l.Rows, p), p.AllRows
	}
	return l
}

// SimMoney is what a SIM cost.
func (s *scope) SimMoney(of sim) []amount {
	p := make(purse)
	for _, d := range s.simDays[[2]string{of.AccountSID, of.SimSID}] {
		p.add(d.Amount, d.Unit)
	}
	return p.amounts()
}

// Spark is the line of a SIM's days.
func (s *scope) Spark(of sim) spark {
	days := make([]int64, int(s.to.Sub(s.from)/(24*time.Hour)))
	for _, d := range s.simDays[[2]string{of.AccountSID, of.SimSID}] {
		if i := int(d.Day.Sub(s.from) / (24 * time.Hour)); i >= 0 && i < len(days) {
			days[i] += d.Bytes
		}
	}
	return newSpark(s.from, days)
}

// Empty says whether there is no usage at all.
func (s *scope) Empty() bool { return s.Total() == 0 }
