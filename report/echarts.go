package report

import "embed"

// Apache ECharts draws the charts. It is others' code and does not lie in the repository: echarts/fetch.sh, which make runs
// before it builds, gets it from npm, always the same bytes, with its licence (Apache-2.0) and notice. A program that was built
// without has a report of tables, bars and sparklines, and says so. The folder is embedded as a whole because a program
// must build either way.
//
//go:embed echarts
var library embed.FS

// Charts says whether this program was built with the library that draws the charts.
func Charts() bool {
	_, err := library.Open("echarts/echarts.min.js")
	return err == nil
}

// drawing is the library as a page carries it: with the notice that its licence asks for; its own text begins with the licence.
func drawing() (string, error) {
	notice, err := library.ReadFile("echarts/NOTICE")
	if err != nil {
		return "", err
	}
	script, err := library.ReadFile("echarts/echarts.min.js")
	return "/*!\n" + string(notice) + "\n*/\n" + string(script), err
}
