-- Active SIMs that have used nothing for long.
SELECT account_sid, sim_sid, sim_name, fleet_sid, fleet_name, last_used_on, idle_days, all_rows
FROM (
    SELECT *, count(*) OVER (PARTITION BY account_sid) AS all_rows, row_number() OVER (PARTITION BY account_sid ORDER BY idle_days DESC, sim_sid) AS place
    FROM usage.sim_idle
    WHERE idle_days >= @days
) i
WHERE place <= @most
ORDER BY idle_days DESC, account_sid, sim_sid
