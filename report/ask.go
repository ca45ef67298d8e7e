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

type sim struct {
	AccountSID, SimSID string
	SimName, FleetName *string
	Bytes              int64
	AllSims            int64
}

type simDay struct {
	AccountSID, SimSID string
	Day                time.Time
	Bytes              int64
	Amount, Unit       string
}

type fleet struct {
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
	TopSimTotal                        *int64
	AllFleets                          int64
}

type anomaly struct {
	SimSID       string
	SimName      *string
	Day          time.Time
	DataTotal    int64
	NormalTotal  int64
	TimesNormal  *string
	AllAnomalies int64
}

type idle struct {
	SimSID              string
	SimName             *string
	FleetSID, FleetName *string
	LastUsedOn          *time.Time
	IdleDays            int32
	AllIdle             int64
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
	Holes                                                    int64
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

// ask asks everything about a scope.
func (s *scope) ask(q questioner) (err error) {
	q.account = s.Account.AccountSID
	one := func(rows []notes) (n notes) {
		for _, n = range rows {
		}
		return n
	}
	if s.used, err = ask[used](q, "usage", nil); err != nil {
		return err
	}
	if s.Sims, err = ask[sim](q, "sims", pgx.NamedArgs{"most": mostSims}); err != nil {
		return err
	}
	if err = s.askSimDays(q); err != nil {
		return err
	}
	if s.Fleets, err = ask[fleet](q, "fleets", pgx.NamedArgs{"most": mostFleets}); err != nil {
		return err
	}
	since := q.to.AddDate(0, 0, -anomalyDays)
	if since.Before(q.from) {
		since = q.from
	}
	if s.Anomalies, err = ask[anomaly](q, "anomalies", pgx.NamedArgs{"most": mostAnomalies, "since": since}); err != nil {
		return err
	}
	if s.Idle, err = ask[idle](q, "idle", pgx.NamedArgs{"most": mostIdle, "days": idleDays}); err != nil {
		return err
	}
	if s.Prices, err = ask[price](q, "roaming", pgx.NamedArgs{"most": mostPrices}); err != nil {
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
	rest, err := ask[notes](q, "notes", nil)
	s.notes = one(rest)
	return err
}

// askSimDays asks for the days of the SIMs that are shown.
func (s *scope) askSimDays(q questioner) error {
	var sids []string
	for _, sim := range s.Sims {
		sids = append(sids, sim.SimSID)
	}
	if len(sids) == 0 {
		return nil
	}
	days, err := ask[simDay](q, "sim_days", pgx.NamedArgs{"sims": sids})
	if err != nil {
		return err
	}
	s.simDays = make(map[[2]string][]simDay)
	for _, d := range days {
		key := [2]string{d.AccountSID, d.SimSID}
		s.simDays[key] = append(s.simDays[key], d)
	}
	return nil
}
