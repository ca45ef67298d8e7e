package extract

import (
	"slices"
	"strings"
	"testing"
)

func TestParseStream(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want Stream
		dims []Dimension
	}{
		{"hour/total", Stream{Granularity: Hour, Group: Total}, nil},
		{"day/sim", Stream{Granularity: Day, Group: Sim}, []Dimension{Sim}},
		{"all/network", Stream{Granularity: All, Group: Network}, []Dimension{Network}},
		{"hour/sim@country", Stream{Granularity: Hour, Group: Sim, FanOut: Country}, []Dimension{Sim, Country}},
		{"day/country@fleet", Stream{Granularity: Day, Group: Country, FanOut: Fleet}, []Dimension{Fleet, Country}},
		{
			"hour/sim@country:fleet=" + fleetA, Stream{Granularity: Hour, Group: Sim, FanOut: Country, Fixed: Filter{Fleet: fleetA}},
			[]Dimension{Sim, Country},
		},
		{
			"hour/total:sim=a=b:network=" + networkA + ":country=DE",
			Stream{Granularity: Hour, Group: Total, Fixed: Filter{Sim: "a=b", Network: networkA, Country: "DE"}}, nil,
		},
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			got := mustStream(t, test.text)
			if got != test.want {
				t.Errorf("is %#v, want %#v", got, test.want)
			}
			if got.String() != test.text {
				t.Errorf("prints as %s", got)
			}
			if !slices.Equal(got.Dimensions(), test.dims) {
				t.Errorf("breaks down by %v, want %v", got.Dimensions(), test.dims)
			}
		})
	}
	if got := mustStream(t, "hour/total:country=de").Fixed.Country; got != "DE" {
		t.Errorf("country de is kept as %s", got)
	}
}

func TestPromise12Streams(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "want granularity/group",
		"hour":                                 "want granularity/group",
		"week/total":                           `granularity "week"`,
		"hour/":                                `group ""`,
		"hour/isoCountry":                      `group "isoCountry"`,
		"hour/sim@":                            `fan-out ""`,
		"hour/sim@total":                       `fan-out "total"`,
		"hour/total@country":                   "needs a group",
		"hour/sim@sim":                         "repeats the group",
		"hour/total:":                          "want sim=",
		"hour/total:fleet":                     "want sim=",
		"hour/total:fleet=":                    "want sim=",
		"hour/total:total=x":                   "want sim=",
		"hour/sim:sim=x":                       "used twice",
		"hour/sim@country:country=DE":          "used twice",
		"hour/total:fleet=a:fleet=b":           "used twice",
		"hour/total:network=vodafone":          "network is given by its SID",
		"hour/total:country=Germany":           "two letters",
		"hour/total:country=ı":                 "two letters",
		"hour/total:country=D1":                "two letters",
		"hour/total:country=DE:sim=a:":         "want sim=",
		"hour/total:network=HW" + "zz":         "network is given by its SID",
		"hour/total:network=" + networkA + "0": "network is given by its SID",
	} {
		_, err := ParseStream(text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), `stream "`) {
			t.Errorf("%q: error %v, want one about %s", text, err, want)
		}
	}
}

func FuzzParseStream(f *testing.F) {
	f.Add("hour/total")
	f.Add("hour/sim@country:fleet=" + fleetA)
	f.Add("day/sim:sim==:country=us")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStream(text)
		if err != nil {
			return
		}
		again, err := ParseStream(s.String())
		if err != nil || again != s {
			t.Fatalf("%q is %#v, printed as %q, read as %#v, %v", text, s, s, again, err)
		}
		if q := s.Query(Window{}, ""); q.Granularity != s.Granularity || q.Group != s.Group {
			t.Fatalf("%q asks %v", text, q)
		}
	})
}
