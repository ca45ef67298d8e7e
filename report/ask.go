package report

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed questions/*.sql
var questions embed.FS

// questioner asks the views about a window and an account, or all accounts.
type questioner struct {
	ctx      context.Context
	tx       pgx.Tx
	account  string // SID; empty for all
	from, to time.Time
}

// ask asks a question of questions/ and returns its rows.
func ask[T any](q questioner, name string, more pgx.NamedArgs) ([]T, error) {
	text, err := questions.ReadFile("questions/" + name + ".sql")
	if err != nil {
		return nil, err
	}
	args := pgx.NamedArgs{"account": q.account, "from": q.from, "to": q.to}
	for name, value := range more {
		args[name] = value
	}
	rows, err := q.tx.Query(q.ctx, string(text), args)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	answer, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	return answer, nil
}

type account struct {
	AccountSID string
	Account    string
	Bytes      int64
}

// used is what one country used on one day, and what that cost in one currency.
type used struct {
	Day        time.Time
	IsoCountry string
	Country    *string
	Bytes      int64
	Amount     string
	Unit       string
	Settled    bool
}

// ranked is what a row of a list has beside its text: its place says whether it is shown, in its account's list and in that of
// all accounts.
type ranked struct {
	AccountSID string
	AllRows    int64 // of the account
}

func (r ranked) rank() ranked { return r }

type sim struct {
	ranked
	SimSID             string
	SimName, FleetName *string
	Bytes              int64
}

type simDay struct {
	AccountSID, SimSID string
	Day                time.Time
	Bytes              int64
	Amount, Unit       string
}

type fleet struct {
	ranked
	FleetSID                           string
	FleetName                          *string
	Month                              time.Time
	CompleteUntil                      time.Time
	Sims, SimsWithUsage                int64
	DataTotal, ProjectedTotal          int64
	Amount, Unit                       string
	DataLimit                          *int64
	SimsOverLimit, SimsProjectedOver   int64
	TopSimSID, TopSimName, TopSimShare *string
}

type anomaly struct {
	ranked
	SimSID      string
	SimName     *string
	Day         time.Time
	DataTotal   int64
	NormalTotal int64
	TimesNormal *string
}

type idle struct {
	ranked
	SimSID              string
	SimName             *string
	FleetSID, FleetName *string
	LastUsedOn          *time.Time
	IdleDays            int32
}

// price is what a country, or a network, costs.
type price struct {
	Month                    time.Time
	IsoCountry               *string
	CountryName, NetworkName *string
	Bytes                    int64
	Amount, Unit             string
	CostPerMB                *string `db:"cost_per_mb"`
	AllRows                  int64
}

type unbilled struct {
	Bytes, Sims int64
	Since       *time.Time
}

type stream struct {
	AccountSID, Account, Stream                              string
	CompleteUntil, SettledUntil, NewestPeriod, LastSuccessAt *time.Time
	Holes, Lost                                              int64
	OldestHole                                               *time.Time
}

// agreement is how the slices of a stream compare with the API's total.
type agreement struct {
	Stream                   string
	Equal, Unequal, Open     int64
	Difference, Unattributed int64
	First                    *time.Time
}

type notes struct{ Restated, Rejected int64 }

// anomalyDays is how far back the unusual days go: each is compared with the four weeks before it.
const anomalyDays = 7

// idleDays is from when on a silent SIM is worth a look.
const idleDays = 30

// lists are the rows of all accounts, the first of each, in the order of all. They are asked for once, because what Postgres
// has to read for the first rows of one account is what it reads for all.
type lists struct {
	sims      []sim
	simDays   map[[2]string][]simDay // by account and SIM
	fleets    []fleet
	anomalies []anomaly
	idle      []idle
}

func askLists(q questioner) (l lists, err error) {
	since := q.to.AddDate(0, 0, -anomalyDays)
	if since.Before(q.from) {
		since = q.from
	}
	if l.sims, err = ask[sim](q, "sims", pgx.NamedArgs{"most": mostSims}); err != nil {
		return l, err
	}
	var sids []string
	for _, s := range l.sims {
		sids = append(sids, s.SimSID)
	}
	days, err := ask[simDay](q, "sim_days", pgx.NamedArgs{"sims": sids})
	if err != nil {
		return l, err
	}
	l.simDays = make(map[[2]string][]simDay)
	for _, d := range days {
		key := [2]string{d.AccountSID, d.SimSID}
		l.simDays[key] = append(l.simDays[key], d)
	}
	if l.fleets, err = ask[fleet](q, "fleets", pgx.NamedArgs{"most": mostFleets}); err != nil {
		return l, err
	}
	if l.anomalies, err = ask[anomaly](q, "anomalies", pgx.NamedArgs{"most": mostAnomalies, "since": since}); err != nil {
		return l, err
	}
	l.idle, err = ask[idle](q, "idle", pgx.NamedArgs{"most": mostIdle, "days": idleDays})
	return l, err
}

// list is the beginning of a list, and how long it would be.
type list[T any] struct {
	Rows []T
	All  int64
}

// of is the part of the rows that belongs to an account, or to all.
func of[T interface{ rank() ranked }](rows []T, account string, most int) (l list[T]) {
	counted := make(map[string]bool)
	for _, row := range rows {
		r := row.rank()
		if account != "" && r.AccountSID != account {
			continue
		}
		if !counted[r.AccountSID] {
			counted[r.AccountSID], l.All = true, l.All+r.AllRows
		}
		if len(l.Rows) < most {
			l.Rows = append(l.Rows, row)
		}
	}
	return l
}

// More says whether there are more than are shown.
func (l list[T]) More() bool { return l.All > int64(len(l.Rows)) }

// ask asks what is asked of each scope by itself.
func (s *scope) ask(q questioner) (err error) {
	q.account = s.Account.AccountSID
	if s.used, err = ask[used](q, "usage", nil); err != nil {
		return err
	}
	if s.prices, err = ask[price](q, "roaming", pgx.NamedArgs{"most": mostPrices}); err != nil {
		return err
	}
	if s.unbilled, err = ask[unbilled](q, "unbilled", nil); err != nil {
		return err
	}
	if s.Streams, err = ask[stream](q, "freshness", nil); err != nil {
		return err
	}
	if s.agreement, err = ask[agreement](q, "agreement", nil); err != nil {
		return err
	}
	s.notes, err = ask[notes](q, "notes", nil)
	return err
}

// take takes what belongs to the scope out of the lists.
func (s *scope) take(l lists) {
	sid := s.Account.AccountSID
	s.Sims, s.simDays = of(l.sims, sid, mostSims), l.simDays
	s.Fleets, s.Anomalies, s.Idle = of(l.fleets, sid, mostFleets), of(l.anomalies, sid, mostAnomalies), of(l.idle, sid, mostIdle)
}
