-- How far each stream can be trusted.
SELECT account_sid, account, stream, complete_until, settled_until, newest_period, holes, oldest_hole, lost, last_success_at
FROM usage.freshness
WHERE @account::text = '' OR account_sid = @account
ORDER BY account, stream
