package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// picture is a table to show: what it says, and the query that says it, in text only.
type picture struct{ title, sql string }

// pictures are what a dashboard would show first, and then how far it can be trusted.
func pictures() []picture {
	return []picture{
		{"The ten SIMs with most bytes (usage.sim_monthly)", `
			SELECT sim_sid AS "SIM", to_char(sum(data_total), 'FM999,999,999,999') AS bytes, to_char(sum(data_total_billed), 'FM999,990.00') AS money, coalesce(max(billed_unit), '') AS unit
			FROM usage.sim_monthly GROUP BY sim_sid ORDER BY sum(data_total) DESC, sim_sid LIMIT 10`},
		{"By country (usage.country_monthly)", `
			SELECT iso_country AS code, coalesce(country_name, '') AS country, to_char(sum(data_total), 'FM999,999,999,999') AS bytes,
				to_char(sum(data_total_billed), 'FM999,990.00') AS money, coalesce(max(billed_unit), '') AS unit
			FROM usage.country_monthly GROUP BY 1, 2 ORDER BY sum(data_total) DESC`},
		{"How far each stream can be trusted (usage.freshness)", `
			SELECT stream, to_char(settled_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "final until", to_char(complete_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "complete until",
				to_char(newest_period AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "newest usage", holes::text AS holes
			FROM usage.freshness ORDER BY stream`},
		{"Whether each stream adds up to the account's total (usage.reconciliation)", `
			SELECT stream, count(*)::text AS slices, (count(*) FILTER (WHERE reconciled))::text AS agree, (count(*) FILTER (WHERE NOT reconciled))::text AS differ
			FROM usage.reconciliation GROUP BY stream ORDER BY stream`},
		{"What the program did (usage.runs)", `
			SELECT run::text, command, outcome, slices::text, pages::text, rows::text AS "rows read", rows_inserted::text AS new, rows_updated::text AS changed,
				unchanged::text AS "slices as before", requests::text, retries::text
			FROM usage.runs ORDER BY run`},
	}
}

func look(ctx context.Context, out screen, reader *pgx.Conn) error {
	for _, p := range pictures() {
		columns, rows, err := query(ctx, reader, p.sql)
		if err != nil {
			return fmt.Errorf("%s: %w", p.title, err)
		}
		out.table(p.title, columns, rows)
	}
	return nil
}

// measure is what changes when billing arrives: pairs of a name and a number.
func measure(ctx context.Context, reader *pgx.Conn) ([][]string, error) {
	_, rows, err := query(ctx, reader, `
		SELECT name, value FROM (SELECT count(*) AS rows, sum(data_total) AS bytes, sum(data_total) FILTER (WHERE billed_unit IS NULL) AS unbilled, sum(data_total_billed) AS money
			FROM usage.sim_country_hourly) v,
		LATERAL (VALUES (1, 'rows by SIM, country and hour', to_char(rows, 'FM999,999,999,990')), (2, 'bytes', to_char(bytes, 'FM999,999,999,990')),
			(3, 'bytes not billed yet', to_char(coalesce(unbilled, 0), 'FM999,999,999,990')), (4, 'USD', to_char(money, 'FM999,990.00'))) lines (line, name, value)
		ORDER BY line`)
	if err != nil {
		return nil, fmt.Errorf("add up what is there: %w", err)
	}
	return rows, nil
}

// query runs a query whose columns are all text.
func query(ctx context.Context, conn *pgx.Conn, sql string) (columns []string, rows [][]string, err error) {
	result, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, nil, err
	}
	for _, field := range result.FieldDescriptions() {
		columns = append(columns, field.Name)
	}
	rows, err = pgx.CollectRows(result, func(row pgx.CollectableRow) ([]string, error) {
		cells := make([]string, len(columns))
		targets := make([]any, len(columns))
		for i := range cells {
			targets[i] = &cells[i]
		}
		return cells, row.Scan(targets...)
	})
	return columns, rows, err
}
