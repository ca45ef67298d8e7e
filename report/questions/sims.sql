-- The SIMs with most usage of each account, and how many it has with any.
SELECT top.account_sid, top.sim_sid, sim.sim_name, sim.fleet_name, top.bytes, top.all_rows
FROM (
    SELECT account_sid, sim_sid, sum(data_total)::bigint AS bytes, count(*) OVER (PARTITION BY account_sid) AS all_rows,
        row_number() OVER (PARTITION BY account_sid ORDER BY sum(data_total) DESC, sim_sid) AS place
    FROM usage.sim_daily
    WHERE day >= @from AND day < @to AND sim_sid <> ''
    GROUP BY account_sid, sim_sid
    HAVING sum(data_total) > 0
) top
LEFT JOIN usage.sim USING (account_sid, sim_sid)
WHERE place <= @most
ORDER BY top.bytes DESC, top.account_sid, top.sim_sid
