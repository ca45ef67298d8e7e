package report

import (
	"strings"
	"testing"
)

func TestUnits(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 1234: "1.23 kB", 9994: "9.99 kB", 9995: "10.0 kB", 99_949: "99.9 kB", 99_950: "100 kB",
		999_499: "999 kB", 999_500: "1.00 MB", 61_728_390: "61.7 MB", 1 << 62: "4.61 EB", -1234: "-1.23 kB"} {
		if got := strings.ReplaceAll(bytesText(n), nbsp, " "); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "−1,234,567", 1<<63 - 1: "9,223,372,036,854,775,807"} {
		if got := exact(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for text, want := range map[string]string{"0": "0.00", "0.004": "0.0040", "1": "1.00", "1234567.895": "1,234,567.90", "-0.5": "−0.5000", "odd": "odd"} {
		if got := amountText(text); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	for share, want := range map[float64]string{0: "0.0 %", 0.0004: "< 0.1 %", 0.0512: "5.1 %", 0.256: "26 %", 3.5: "350 %"} {
		if got := strings.ReplaceAll(percent(share), nbsp, " "); got != want {
			t.Errorf("%v is %q, want %q", share, got, want)
		}
	}
}

// Money stays exact, and currencies stay apart.
func TestPurse(t *testing.T) {
	t.Parallel()
	p := make(purse)
	for range 10 {
		p.add("0.1", "USD")
	}
	p.add("12345678901234567890.000000001", "EUR")
	p.add("0", "")
	got := p.amounts()
	if len(got) != 2 || got[0] != (amount{"12345678901234567890.000000001", "EUR"}) || got[1] != (amount{"1", "USD"}) {
		t.Errorf("%v", got)
	}
}

func TestSpark(t *testing.T) {
	t.Parallel()
	from := noon
	for name, c := range map[string]struct {
		days       []int64
		line, says string
	}{
		"nothing": {nil, "", ""},
		"one day": {[]int64{5}, "M2.0 2.0", "highest on 2026-03-10, 5\u00a0B"},
		"zero":    {[]int64{0, 0}, "M2.0 24.0L118.0 24.0", "highest on 2026-03-10, 0\u00a0B"},
		"days":    {[]int64{0, 10, 5}, "M2.0 24.0L60.0 2.0L118.0 13.0", "highest on 2026-03-11, 10\u00a0B"},
	} {
		if s := newSpark(from, c.days); s.Line != c.line || s.Says != c.says {
			t.Errorf("%s: %q, %q", name, s.Line, s.Says)
		}
	}
}

// A program without the library has a page that says so, and all its numbers.
func TestWithoutCharts(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := page{From: noon, To: noon.AddDate(0, 0, 1), Now: noon, Scopes: []scope{{ID: "s0", from: noon, to: noon.AddDate(0, 0, 1),
		used: []used{{Day: noon, IsoCountry: "DE", Bytes: 7}}}}}
	if err := p.write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"built without the library", `title="7 bytes"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if out.Len() > 40_000 || strings.Contains(out.String(), "Apache") {
		t.Errorf("a library is in the page: %d bytes", out.Len())
	}
}
