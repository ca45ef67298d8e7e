-- SIM days that are out of the ordinary, what is most above the normal first.
SELECT account_sid, sim_sid, sim_name, day, data_total, normal_total, times_normal::text, all_rows
FROM (
    SELECT *, count(*) OVER (PARTITION BY account_sid) AS all_rows,
        row_number() OVER (PARTITION BY account_sid ORDER BY data_total - normal_total DESC, sim_sid, day) AS place
    FROM usage.sim_anomaly
    WHERE day >= @since AND day < @to
) a
WHERE place <= @most
ORDER BY data_total - normal_total DESC, account_sid, place
