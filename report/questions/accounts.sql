-- The accounts, the one with most usage first, and the first day of each that has any.
SELECT f.account_sid, f.account, coalesce(u.bytes, 0)::bigint AS bytes
FROM (SELECT DISTINCT account_sid, account FROM usage.freshness) f
LEFT JOIN (
    SELECT account_sid, sum(data_total) AS bytes FROM usage.total_daily WHERE day >= @from AND day < @to GROUP BY account_sid
) u USING (account_sid)
ORDER BY 3 DESC, 1
