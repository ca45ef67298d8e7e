-- How far each stream can be trusted. An account that has ended, and is there as a whole, holds nobody back.
SELECT account_sid, account, stream,
    CASE WHEN complete_until >= ends_at THEN max(complete_until) OVER () ELSE complete_until END AS complete_until,
    CASE WHEN settled_until >= ends_at THEN max(settled_until) OVER () ELSE settled_until END AS settled_until,
    newest_period, holes, oldest_hole, lost, last_success_at
FROM usage.freshness
WHERE @account::text = '' OR account_sid = @account
ORDER BY account, stream
