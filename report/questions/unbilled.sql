-- Bytes that should have been billed by now.
SELECT coalesce(sum(data_total), 0)::bigint AS bytes, count(DISTINCT (account_sid, sim_sid)) AS sims, min(day) AS since
FROM usage.unbilled
WHERE day >= @from AND day < @to AND (@account::text = '' OR account_sid = @account)
