package load

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/extract"
)

// querier is what a pool and a transaction have in common.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// seriesKey is one combination of dimensions of a stream.
type seriesKey struct {
	stream                       int16
	sim, fleet, network, country string
}

// seriesHash stands for a seriesKey: the first 96 bits of its SHA-256. Among the millions of series of one warehouse, two with one
// hash are less likely than a page that the network has changed unnoticed, and a cache of hashes is a fifth as large as one of
// texts, and nothing that the garbage collector has to look through.
type seriesHash [12]byte

func (k *seriesKey) hash() (h seriesHash) {
	var room [160]byte
	b := binary.BigEndian.AppendUint16(room[:0], uint16(k.stream))
	for _, text := range [...]string{k.sim, k.fleet, k.network, k.country} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}

// seriesCache remembers series numbers, so that a page of known SIMs costs no question. It is bounded: when it is full it keeps
// what it has. A list names each SIM once an hour, in the same order again and again; a cache that made room for the newest
// would have forgotten each SIM just before it comes again.
type seriesCache struct {
	mu   sync.RWMutex
	ids  map[seriesHash]int32
	told int         // how many series kept was told of
	kept func(int64) // Options.Kept
}

const (
	// maxSeries bounds the cache: a million SIMs and what else they are asked for by, in about 50 MB.
	maxSeries = 1_800_000
	// usualSeries need no room of their own: about 10 MB, with which the program's memory was measured.
	usualSeries = 250_000
	// seriesBytes is what one of the others takes at most, in a map that has just grown.
	seriesBytes = 40
)

func newSeriesCache(kept func(bytes int64)) *seriesCache {
	return &seriesCache{ids: make(map[seriesHash]int32), told: usualSeries, kept: kept}
}

// find fills ids with the numbers of the records' series and returns the keys that it does not know, each once. The
// strings of the returned keys are copies: a record lives only as long as its page.
func (c *seriesCache) find(stream int16, records []extract.Record, ids []int32) []seriesKey {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var unknown map[seriesKey]struct{}
	var missing []seriesKey
	for i := range records {
		k := keyOf(stream, &records[i])
		id, ok := c.ids[k.hash()]
		ids[i] = id
		if ok {
			continue
		}
		if _, ok := unknown[k]; ok {
			continue
		}
		k = seriesKey{k.stream, strings.Clone(k.sim), strings.Clone(k.fleet), strings.Clone(k.network), strings.Clone(k.country)}
		if unknown == nil {
			unknown = make(map[seriesKey]struct{})
		}
		unknown[k] = struct{}{}
		missing = append(missing, k)
	}
	return missing
}

func (c *seriesCache) add(found map[seriesKey]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, id := range found {
		if len(c.ids) == maxSeries {
			break
		}
		c.ids[k.hash()] = id
	}
	if c.kept != nil && len(c.ids) > c.told {
		c.told = len(c.ids) + usualSeries/10 // a megabyte ahead: each telling stops the program for a moment
		c.kept(int64(c.told-usualSeries) * seriesBytes)
	}
}

func keyOf(stream int16, r *extract.Record) seriesKey {
	return seriesKey{stream, r.SimSID, r.FleetSID, r.NetworkSID, r.IsoCountry}
}

// resolve returns the series number of each record, making new series where a combination is seen for the first time.
// New series are committed on their own, before the page: a series without facts harms nobody.
func (s *Store) resolve(ctx context.Context, stream int16, records []extract.Record) ([]int32, error) {
	ids := make([]int32, len(records))
	missing := s.series.find(stream, records, ids)
	if len(missing) == 0 {
		return ids, nil
	}
	found, err := s.numberSeries(ctx, stream, missing)
	if err != nil {
		return nil, fmt.Errorf("number the series: %w", err)
	}
	for i := range records {
		if ids[i] == 0 {
			ids[i] = found[keyOf(stream, &records[i])]
		}
	}
	s.series.add(found)
	return ids, nil
}

// numberSeries finds the numbers of series, and makes those that are not there. Mostly all are: each process begins with an
// empty cache, and that of many million SIMs is never large enough.
func (s *Store) numberSeries(ctx context.Context, stream int16, keys []seriesKey) (map[seriesKey]int32, error) {
	found := make(map[seriesKey]int32, len(keys))
	if err := s.findSeries(ctx, stream, keys, found); err != nil || len(found) == len(keys) {
		return found, err
	}
	var missing []seriesKey
	for _, k := range keys {
		if _, there := found[k]; !there {
			missing = append(missing, k)
		}
	}
	if err := s.makeSeries(ctx, stream, missing); err != nil {
		return nil, err
	}
	err := s.findSeries(ctx, stream, missing, found)
	if err == nil && len(found) < len(keys) {
		err = fmt.Errorf("%d of %d were not found after inserting them", len(keys)-len(found), len(keys))
	}
	return found, err
}

// columns are the keys for Postgres.
func columns(keys []seriesKey) (sims, fleets, networks, countries []string) {
	for _, k := range keys {
		sims, fleets, networks, countries = append(sims, k.sim), append(fleets, k.fleet), append(networks, k.network), append(countries, k.country)
	}
	return sims, fleets, networks, countries
}

// findSeries reads the numbers of series that are there.
func (s *Store) findSeries(ctx context.Context, stream int16, keys []seriesKey, found map[seriesKey]int32) error {
	sims, fleets, networks, countries := columns(keys)
	rows, err := s.pool.Query(ctx, `SELECT s.id, s.sim_sid, s.fleet_sid, s.network_sid, s.iso_country
		FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS k(sim, fleet, network, country)
		JOIN simusage.series s ON (s.stream_id, s.sim_sid, s.fleet_sid, s.network_sid, s.iso_country) = ($1, k.sim, k.fleet, k.network, k.country)`,
		stream, sims, fleets, networks, countries)
	if err != nil {
		return err
	}
	var id int32
	k := seriesKey{stream: stream}
	_, err = pgx.ForEachRow(rows, []any{&id, &k.sim, &k.fleet, &k.network, &k.country}, func() error {
		found[k] = id
		return nil
	})
	return err
}

// makeSeries inserts series, sorted, so that two processes that meet the same new SIMs wait for each other instead of
// deadlocking.
func (s *Store) makeSeries(ctx context.Context, stream int16, keys []seriesKey) error {
	sims, fleets, networks, countries := columns(keys)
	return s.inTx(ctx, func(tx pgx.Tx) error {
		// Whoever forgets the account has locked the stream. Its foreign key would see to that, but not on Citus.
		var locked int16
		if err := tx.QueryRow(ctx, `SELECT id FROM simusage.stream WHERE id = $1 FOR KEY SHARE`, stream).Scan(&locked); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO simusage.series (stream_id, sim_sid, fleet_sid, network_sid, iso_country)
			SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS k(sim, fleet, network, country)
			ORDER BY k.sim, k.fleet, k.network, k.country
			ON CONFLICT (stream_id, sim_sid, fleet_sid, network_sid, iso_country) DO NOTHING`, stream, sims, fleets, networks, countries)
		return err
	})
}

// unitCache remembers the numbers of currencies.
type unitCache struct {
	mu  sync.Mutex
	ids map[string]int16
}

func newUnitCache() *unitCache { return &unitCache{ids: map[string]int16{"": 0}} }

// unit is the number of a currency, made when it is seen for the first time.
func (s *Store) unit(ctx context.Context, code string) (int16, error) {
	s.units.mu.Lock()
	defer s.units.mu.Unlock()
	if id, ok := s.units.ids[code]; ok {
		return id, nil
	}
	code = strings.Clone(code)
	_, err := s.pool.Exec(ctx, `INSERT INTO simusage.billed_unit (code) SELECT $1 WHERE NOT EXISTS (SELECT FROM simusage.billed_unit WHERE code = $1)
		ON CONFLICT (code) DO NOTHING`, code)
	if err != nil {
		return 0, fmt.Errorf("number the currency %q: %w", code, err)
	}
	var id int16
	if err := s.pool.QueryRow(ctx, `SELECT id FROM simusage.billed_unit WHERE code = $1`, code).Scan(&id); err != nil {
		return 0, fmt.Errorf("number the currency %q: %w", code, err)
	}
	s.units.ids[code] = id
	return id, nil
}
