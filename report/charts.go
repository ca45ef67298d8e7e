package report

import (
	"cmp"
	"slices"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

// chart is a chart of the page: its options for the library, and what it shows in words.
type chart struct {
	Unit   string // of its values: bytes, or a currency
	Option map[string]any
}

// UsageChart is the usage by day, stacked by country.
func (s *scope) UsageChart() chart {
	bar := bars()
	days := s.Days()
	bar.SetXAxis(labels(days))
	for i, name := range s.Split() {
		data := make([]opts.BarData, len(days))
		for n, d := range days {
			data[n].Value = d.Parts[i]
		}
		bar.AddSeries(name, data, charts.WithBarChartOpts(opts.BarChart{Stack: "day"}))
	}
	bar.Validate()
	return chart{"bytes", bar.JSON()}
}

// CostCharts are the cost by day, a chart for each currency, the one with most days first.
func (s *scope) CostCharts() []chart {
	const most = 3 // more currencies than that are in the tables
	days := s.Days()
	byUnit := make(map[string][]opts.BarData)
	paid := make(map[string]int)
	for n, d := range days {
		for _, m := range d.Money {
			if byUnit[m.Unit] == nil {
				byUnit[m.Unit] = make([]opts.BarData, len(days))
			}
			byUnit[m.Unit][n].Value = jsonNumber(m.Amount)
			paid[m.Unit]++
		}
	}
	var list []chart
	for unit, data := range byUnit {
		bar := bars()
		bar.SetXAxis(labels(days))
		for n := range data {
			if data[n].Value == nil {
				data[n].Value = 0
			}
		}
		bar.AddSeries(unit, data)
		bar.Validate()
		list = append(list, chart{unit, bar.JSON()})
	}
	slices.SortFunc(list, func(a, b chart) int {
		return cmp.Or(cmp.Compare(paid[b.Unit], paid[a.Unit]), cmp.Compare(a.Unit, b.Unit))
	})
	return list[:min(len(list), most)]
}

// bars is a chart of bars by day. Colours and fonts are the page's, which knows whether it is dark, small or on paper.
func bars() *charts.Bar {
	bar := charts.NewBar()
	yes, no := opts.Bool(true), opts.Bool(false)
	bar.SetGlobalOptions(
		charts.WithAnimation(false),
		charts.WithTooltipOpts(opts.Tooltip{Show: yes, Trigger: "axis", AxisPointer: &opts.AxisPointer{Type: "shadow"}}),
		charts.WithLegendOpts(opts.Legend{Show: no}),
		charts.WithGridOpts(opts.Grid{Left: "72", Right: "4", Top: "12", Bottom: "28"}),
		charts.WithXAxisOpts(opts.XAxis{Type: "category", AxisTick: &opts.AxisTick{Show: no}}),
		charts.WithYAxisOpts(opts.YAxis{Type: "value", AxisLine: &opts.AxisLine{Show: no}}),
	)
	return bar
}

func labels(days []day) []string {
	list := make([]string, len(days))
	for i, d := range days {
		list[i] = dayText(d.Day)
	}
	return list
}
