-- Active SIMs that have used nothing for long.
SELECT sim_sid, sim_name, fleet_sid, fleet_name, last_used_on, idle_days, count(*) OVER () AS all_idle
FROM usage.sim_idle
WHERE idle_days >= @days AND (@account::text = '' OR account_sid = @account)
ORDER BY idle_days DESC, account_sid, sim_sid
LIMIT @most
