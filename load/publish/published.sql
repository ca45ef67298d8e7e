-- How much is published of the time that the walk asked for.
SELECT count(*), coalesce(sum(data_total), 0)::bigint
FROM {facts}
WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3
