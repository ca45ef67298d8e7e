-- SIM days that are out of the ordinary.
SELECT sim_sid, sim_name, day, data_total, normal_total, times_normal::text, count(*) OVER () AS all_anomalies
FROM usage.sim_anomaly
WHERE day >= @since AND day < @to AND (@account::text = '' OR account_sid = @account)
ORDER BY data_total - normal_total DESC, account_sid, sim_sid, day
LIMIT @most
