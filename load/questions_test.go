package load

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// question is a block of SQL in sql/README.md, with the heading that it stands under.
type question struct{ title, sql string }

func questions(t *testing.T) (list []question) {
	t.Helper()
	text, err := os.ReadFile("../sql/README.md")
	if err != nil {
		t.Fatal(err)
	}
	q, inside := question{}, false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "```sql"):
			q.sql, inside = "", true
		case strings.HasPrefix(line, "```") && inside:
			list, inside = append(list, q), false
		case inside:
			q.sql += line
		case strings.HasPrefix(line, "#"):
			q.title = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
	}
	return list
}

// without are the records with nothing in those fields: the same usage, as a coarser stream says it.
func without(records []string, fields ...int) (coarser []string) {
	for _, r := range records {
		f := strings.Fields(r)
		for _, i := range fields {
			f[i] = "-"
		}
		coarser = append(coarser, strings.Join(f, " "))
	}
	return coarser
}

// seedQuestions fills a warehouse in which every question has an answer.
func seedQuestions(t *testing.T, h *warehouse) {
	t.Helper()
	h.fleets(h.account, "HFa trucks 100", "HFb meters -")
	h.sims(h.account, "HSa truck-1 active HFa 2024-01-01", "HSb meter-1 active HFb 2024-01-01", "HSc silent active HFb 2024-01-01")
	streams := h.feed("hour/total", "hour/country", "hour/sim@country")
	for day := at("2026-02-01"); day.Before(at("2026-03-10")); day = day.AddDate(0, 0, 1) {
		records := []string{"00 HSa DE 800000 200000 0.05 USD", "12 HSb DE 500 500 0.01 USD", "23 HSb FR 100 0 0 USD"}
		switch day {
		case at("2026-03-07"):
			records[1] = "12 HSb DE 500 500" // its money does not come
		case at("2026-03-08"):
			records = append(records, "05 HSa FR 90000000 0 4.5 USD")
		}
		date, settled := day.Format(time.DateOnly), day.Before(at("2026-03-07"))
		h.load(streams[0], date, settled, without(records, 1, 2)...)
		h.load(streams[1], date, settled, without(records, 1)...)
		h.load(streams[2], date, settled, records...)
	}
	h.load(streams[2], "2026-02-20", true, "00 HSa DE 900000 200000 0.05 USD", "12 HSb DE 500 500 0.01 USD", "23 HSb FR 100 0 0 USD")
}

// What sql/README.md says to ask works as it stands there, for somebody who may only read, and finds something.
func TestQuestions(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	seedQuestions(t, h)
	asked := questions(t)
	if len(asked) < 14 {
		t.Fatalf("%d questions in sql/README.md", len(asked))
	}
	h.exec(`SET ROLE ` + h.reader())
	for _, q := range asked {
		if len(h.rows(q.sql)) == 0 {
			t.Errorf("%s: no rows", q.title)
		}
	}
}

// A business day is as long as the clocks make it: 23 hours in spring, 25 in autumn, and no hour is lost or counted twice.
func TestLocalDays(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	var records []string
	for hour := range 24 {
		records = append(records, fmt.Sprint(hour, " HSa - 1 0"))
	}
	for _, day := range []string{"2025-03-29", "2025-03-30", "2025-03-31", "2025-10-25", "2025-10-26", "2025-10-27"} {
		h.load(st, day, true, records...)
	}
	asked := questions(t)
	local := asked[len(asked)-1]
	if local.title != "Local time" {
		t.Fatalf("the last question is %s", local.title)
	}
	for _, zone := range []string{"UTC", "America/Sao_Paulo"} {
		h.exec(`SET timezone = '` + zone + `'`)
		equal(t, "local days, read in "+zone, h.rows(local.sql),
			"2025-03-29 HSa 23", "2025-03-30 HSa 23", "2025-03-31 HSa 24", "2025-04-01 HSa 2",
			"2025-10-25 HSa 22", "2025-10-26 HSa 25", "2025-10-27 HSa 24", "2025-10-28 HSa 1")
	}
}
