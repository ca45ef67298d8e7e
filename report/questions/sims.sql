-- The SIMs with most usage, and how many there are with any.
SELECT top.account_sid, top.sim_sid, sim.sim_name, sim.fleet_name, top.bytes, top.all_sims
FROM (
    SELECT account_sid, sim_sid, sum(data_total)::bigint AS bytes, count(*) OVER () AS all_sims
    FROM usage.sim_daily
    WHERE day >= @from AND day < @to AND (@account::text = '' OR account_sid = @account) AND sim_sid <> ''
    GROUP BY account_sid, sim_sid
    HAVING sum(data_total) > 0
    ORDER BY bytes DESC, account_sid, sim_sid
    LIMIT @most
) top
LEFT JOIN usage.sim USING (account_sid, sim_sid)
ORDER BY top.bytes DESC, top.account_sid, top.sim_sid
