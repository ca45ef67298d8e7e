package extract

import (
	"errors"
	"strings"
	"testing"
)

func TestAnswerIsHeldAgainstTheQuestion(t *testing.T) {
	t.Parallel()
	sim, fleet, network := `sim_sid="`+simA+`"`, `fleet_sid="`+fleetA+`"`, `network_sid="`+networkA+`"`
	otherSim := `sim_sid="HS` + strings.Repeat("9", 32) + `"`
	const de, day = `iso_country="DE"`, `period={"start_time":"2026-03-01T00:00:00Z","end_time":"2026-03-02T00:00:00Z"}`
	for _, test := range []struct {
		name   string
		stream string
		value  string
		rows   []string
		want   string // in the error; empty for none
	}{
		{"total", "hour/total", "", []string{fields()}, ""},
		{"empty", "hour/sim", "", nil, ""},
		{"SIM", "hour/sim", "", []string{fields(sim), fields(otherSim)}, ""},
		{"SIM, one without", "hour/sim", "", []string{fields(sim), fields()}, ""},
		{"SIM, all without", "hour/sim", "", []string{fields(), fields()}, "Group=sim"},
		{"fleet, all without", "hour/fleet", "", []string{fields()}, "Group=fleet"},
		{"network, all without", "hour/network", "", []string{fields()}, ""},
		{"country, all without", "hour/country", "", []string{fields()}, ""},
		{"total, with a SIM", "hour/total", "", []string{fields(), fields(sim)}, "Group was ignored"},
		{"SIM, with a fleet", "hour/sim", "", []string{fields(sim, fleet)}, "Group was ignored"},
		{"country, with a SIM", "hour/country", "", []string{fields(sim)}, "Group was ignored"},
		{"SIM in a country", "hour/sim@country", "DE", []string{fields(sim, de)}, ""},
		{"SIM in a country, written small", "hour/sim@country", "de", []string{fields(sim, de)}, ""},
		{"SIM in a country, filter lost", "hour/sim@country", "DE", []string{fields(sim)}, "IsoCountry was ignored"},
		{"SIM in another country", "hour/sim@country", "DE", []string{fields(sim, `iso_country="FR"`)}, "IsoCountry=DE was ignored"},
		{"SIM in a network", "hour/sim@network", networkA, []string{fields(sim, network)}, ""},
		{"SIM in another network", "hour/sim@network", networkA, []string{fields(sim, `network_sid="HW1"`)}, "Network="},
		{"fleet by SID", "hour/sim@fleet", fleetA, []string{fields(sim, fleet)}, ""},
		{"another fleet", "hour/sim@fleet", fleetA, []string{fields(sim, `fleet_sid="HF1"`)}, "Fleet="},
		{"fleet by name", "hour/sim:fleet=cars", "", []string{fields(sim, fleet)}, ""},
		{"fleet by name, filter lost", "hour/sim:fleet=cars", "", []string{fields(sim)}, "Fleet was ignored"},
		{"SIM by SID", "hour/country:sim=" + simA, "", []string{fields(sim, de)}, ""},
		{"another SIM", "hour/country:sim=" + simA, "", []string{fields(otherSim, de)}, "Sim="},
		{"days for hours", "hour/total", "", []string{fields(day)}, "Granularity, StartTime or EndTime"},
		{"a day and an hour", "hour/total", "", []string{fields(day), fields()}, ""},
		{"days", "day/total", "", []string{fields(day)}, ""},
		{"hours for days", "day/total", "", []string{fields(), fields()}, "Granularity, StartTime or EndTime"},
		{"the whole", "all/total", "", []string{fields(day)}, ""},
		{"hours for the whole", "all/total", "", []string{fields()}, "Granularity, StartTime or EndTime"},
		{"nothing but nonsense", "hour/sim", "", []string{"7", fields("period=null")}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			q := mustStream(t, test.stream).Query(span(t, "03-01 00h..03-01 24h"), test.value)
			page, err := decodePage(q, envelope(test.rows...))
			switch {
			case test.want == "" && err != nil:
				t.Errorf("error %v", err)
			case test.want == "" && len(page.Records)+len(page.Rejected) != len(test.rows):
				t.Errorf("%d records and %d rejected of %d", len(page.Records), len(page.Rejected), len(test.rows))
			case test.want != "" && (!errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one about %s", err, test.want)
			}
		})
	}
}
