package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"strconv"
	"time"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// page is all that the file says.
type page struct {
	From, To, Now time.Time
	Accounts      []account
	Scopes        []scope
	Charts        bool
}

// LastDay is the last day of the window.
func (p page) LastDay() time.Time { return p.To.AddDate(0, 0, -1) }

// Left is how many accounts cannot be chosen one by one.
func (p page) Left() int { return max(0, len(p.Accounts)-mostAccounts) }

// write fills in the page. Scripts and style go in as they are, everything else is escaped for its place.
func (p page) write(w io.Writer) error {
	script := ""
	if p.Charts {
		var err error
		if script, err = drawing(); err != nil {
			return err
		}
	}
	policy := "default-src 'none'; style-src 'unsafe-inline'; script-src"
	for _, text := range []string{script, pageJS} {
		sum := sha256.Sum256([]byte(text))
		policy += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	t, err := template.New("page").Funcs(functions).Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		page
		Policy        string
		Style         template.CSS
		Library, Ours template.JS
		MostAccounts  int
	}{page: p, Policy: policy, Style: template.CSS(pageCSS), Library: template.JS(script), Ours: template.JS(pageJS), MostAccounts: mostAccounts})
}

// functions are what the page's template can say.
var functions = template.FuncMap{
	"bytes":   bytesText,
	"exact":   exact,
	"counted": counted,
	"day":     dayText,
	"moment":  momentText,
	"amount":  amountText,
	"decimal": decimal,
	"percent": percent,
	"or0": func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	},
	"first": func(names ...any) string {
		for _, name := range names {
			switch n := name.(type) {
			case string:
				if n != "" {
					return n
				}
			case *string:
				if n != nil && *n != "" {
					return *n
				}
			}
		}
		return ""
	},
	"share": func(text *string) float64 {
		if text == nil {
			return 0
		}
		share, err := strconv.ParseFloat(*text, 64)
		if err != nil {
			return 0
		}
		return share
	},
	"number": func(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) },
	"mul":    func(a, b float64) float64 { return a * b },
	"ratio": func(a, b int64) float64 {
		if b == 0 {
			return 0
		}
		return float64(a) / float64(b)
	},
	"idleDays":    func() int { return idleDays },
	"unusualDays": func() int { return anomalyDays },
	"inc":         func(n int) int { return n + 1 },
	// A bar is as long as the most that it shows; the shares of it are in percent.
	"fullest": func(limit, now, end float64) float64 { return max(limit, now, end) },
	"part":    func(n, of float64) float64 { return 100 * n / of },
}

// jsonNumber is a number that goes to the page digit by digit.
func jsonNumber(text string) json.Number { return json.Number(text) }
