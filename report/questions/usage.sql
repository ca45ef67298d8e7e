-- Usage by day, country and currency. An account that is not asked for by country has its total, under no country's code.
SELECT day, iso_country, max(country_name) AS country, sum(data_total)::bigint AS bytes, sum(data_total_billed)::text AS amount,
    coalesce(billed_unit, '') AS unit, bool_and(settled) AS settled
FROM (
    SELECT account_sid, day, iso_country, country_name, data_total, data_total_billed, billed_unit, settled
    FROM usage.country_daily
    UNION ALL
    SELECT account_sid, day, '*', 'All countries', data_total, data_total_billed, billed_unit, settled
    FROM usage.total_daily
    WHERE account_sid NOT IN (SELECT feeds.account_sid FROM usage.feeds WHERE family = 'country' AND grain = 'day')
) u
WHERE day >= @from AND day < @to AND (@account::text = '' OR account_sid = @account)
GROUP BY day, iso_country, coalesce(billed_unit, '')
ORDER BY day, iso_country, unit
