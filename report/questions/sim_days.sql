-- What some SIMs used and cost, day by day.
SELECT account_sid, sim_sid, day, sum(data_total)::bigint AS bytes, sum(data_total_billed)::text AS amount, coalesce(billed_unit, '') AS unit
FROM usage.sim_daily
WHERE day >= @from AND day < @to AND sim_sid = ANY (@sims)
GROUP BY account_sid, sim_sid, day, coalesce(billed_unit, '')
ORDER BY account_sid, sim_sid, day, unit
