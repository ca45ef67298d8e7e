-- What a country, or a network, costs in the newest month of the window.
SELECT month, iso_country, country_name, network_name, sum(data_total)::bigint AS bytes, sum(data_total_billed)::text AS amount, coalesce(billed_unit, '') AS unit,
    CASE WHEN count(*) = 1 THEN max(cost_per_mb)::text END AS cost_per_mb, count(*) OVER () AS all_rows
FROM usage.roaming_cost
WHERE month = (SELECT max(month) FROM usage.roaming_cost WHERE month < @to AND (@account::text = '' OR account_sid = @account))
    AND (@account::text = '' OR account_sid = @account)
GROUP BY month, iso_country, country_name, network_sid, network_name, billed_unit
ORDER BY sum(data_total_billed) DESC NULLS LAST, bytes DESC, iso_country, network_sid, unit
LIMIT @most
