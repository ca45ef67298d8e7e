-- The slices of the window against the API's own total, by stream.
SELECT stream, count(*) FILTER (WHERE reconciled) AS equal, count(*) FILTER (WHERE NOT reconciled) AS unequal, count(*) FILTER (WHERE reconciled IS NULL) AS open,
    coalesce(sum(difference) FILTER (WHERE NOT reconciled), 0)::bigint AS difference, min(window_start) FILTER (WHERE NOT reconciled) AS first,
    coalesce(sum(unattributed), 0)::bigint AS unattributed
FROM usage.reconciliation
WHERE window_end > @from AND window_start < @to AND (@account::text = '' OR account_sid = @account)
GROUP BY stream
ORDER BY stream
