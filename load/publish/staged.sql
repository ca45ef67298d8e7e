-- How much the walk says, each record once: its rows and bytes, to hold against what is published.
SELECT count(*), coalesce(sum(data_total), 0)::bigint
FROM (
    SELECT DISTINCT ON (period_start, series_id) data_total
    FROM pg_temp.stage
    ORDER BY period_start, series_id, page DESC, list_no DESC, data_total DESC
) n
