package pipeline

import (
	"strings"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// What comes from outside is data, whatever it looks like: SIMs, fleets, networks, countries, currencies and names that
// are statements, quotes, patterns of the program's own templates or of other scripts.
func TestNamesThatLookLikeSQL(t *testing.T) {
	texts := []string{`';DROP/**/TABLE/**/simusage.run;--`, `";drop/**/table/**/"x`, `{stage}`, `{facts}$1%s%[1]s`, `\';SELECT/**/1--`, `$$;DROP/**/SCHEMA/**/usage`, `a,b{c}"d"\.`}
	const name = `漢字🙂 '; DROP SCHEMA usage CASCADE; -- `
	b := newBench(t, fakeapi.WorldConfig{Seed: 90, Sims: -1, Start: at("2026-03-08"), End: at("2026-03-11")}, fakeapi.Options{})
	b.since = at("2026-03-08")
	b.streams = parseStreams(t, "hour/total", "hour/sim", "hour/fleet", "hour/network", "hour/country")
	b.pageSize = 5
	countries := []string{`D'E`, `"F"`, `;--`, `{X}`, `\.`, `$1`, `%S`, `A+B&C`}
	for i, text := range texts {
		b.world.AddSims(fakeapi.Sim{SID: text, UniqueName: name + text, ICCID: text, Status: text, Created: at("2026-01-01"),
			Moves: []fakeapi.Move{{At: at("2026-01-01"), Fleet: text}}})
		for hour := range 20 {
			b.world.Add(fakeapi.Event{Start: at("2026-03-08").Add(time.Duration(hour) * time.Hour), Sim: text, Fleet: text, Network: text, Country: countries[i],
				Upload: int64(i), Download: int64(hour), Billed: fakeapi.Money(1e9), Unit: "U'S"})
		}
	}
	before := b.query(`SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'v') AND relname !~ '_2026_' AND nspname IN ('simusage', 'usage')`)
	job := b.process()
	job.Accounts[0].Name = `main'; DROP TABLE simusage.account; -- "漢"`
	s, err := job.Sync(t.Context(), load.RunStart{Command: `sync'; --`, Arguments: texts[0], Host: name, Version: texts[5]})
	if err != nil {
		t.Fatal(err)
	}
	if s.Rejected > 0 {
		t.Errorf("%d records set aside: %v", s.Rejected, b.query(`SELECT reason FROM simusage.rejected`))
	}
	b.equal("total", "country", "sim", "fleet", "network")
	difference(t, "SIMs by name", b.query(`SELECT unique_name FROM simusage.sim`), b.query(`SELECT $1 || sid FROM simusage.sim`, name))
	difference(t, "tables and views", b.query(`SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'v') AND relname !~ '_2026_' AND nspname IN ('simusage', 'usage')`), before)
	for _, text := range texts {
		if s, err := extract.ParseStream("hour/sim:country=" + text); err == nil && !strings.Contains(s.String(), "country=") {
			t.Errorf("the stream %q is read as %s", text, s)
		}
		if _, err := extract.ParseStream("hour/" + text); err == nil {
			t.Errorf("the group %q is taken", text)
		}
	}
}
