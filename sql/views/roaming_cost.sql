-- What data costs where: by network for the months in which the views by network begin no later than those by country, else
-- by country. It is summed from days, because the months do not tell which of their bytes were billed.
CREATE OR REPLACE VIEW usage.roaming_cost AS
WITH chosen AS (
    SELECT DISTINCT ON (source.account_id, source.month) source.*
    FROM simusage.source_month source
    CROSS JOIN LATERAL (
        SELECT min(window_start) AS day
        FROM simusage.slice
        WHERE slice.stream_id = source.stream_id AND published_at IS NOT NULL
            AND window_start >= source.month::timestamp AT TIME ZONE 'UTC' AND window_start < (source.month + interval '1 month') AT TIME ZONE 'UTC'
    ) begin
    WHERE source.family IN ('country', 'network') AND begin.day IS NOT NULL
    ORDER BY source.account_id, source.month, begin.day, source.family DESC -- of two that begin on the same day, network
), cost AS (
    SELECT chosen.account_id, chosen.account_sid, chosen.month,
        CASE chosen.family WHEN 'country' THEN series.iso_country END AS iso_country,
        (CASE chosen.family WHEN 'network' THEN series.network_sid END)::varchar(34) AS network_sid,
        sum(f.data_total)::bigint AS data_total, sum(f.data_total) FILTER (WHERE f.billed_unit_id > 0) AS billed_total,
        coalesce(sum(f.data_total_billed), 0) AS data_total_billed, max(nullif(unit.code, '')) AS billed_unit
    FROM chosen
    JOIN simusage.stream part ON coalesce(part.remainder_of, part.id) = chosen.stream_id
    CROSS JOIN LATERAL (
        SELECT series_id, billed_unit_id, data_total, data_total_billed FROM simusage.usage_daily
        WHERE stream_id = part.id AND period_start >= chosen.month AND period_start < (chosen.month + interval '1 month')::date
        UNION ALL
        SELECT series_id, billed_unit_id, data_total, data_total_billed FROM simusage.usage_monthly WHERE stream_id = part.id AND period_start = chosen.month
    ) f
    JOIN simusage.series ON series.id = f.series_id
    JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id
    GROUP BY chosen.account_id, chosen.account_sid, chosen.month, chosen.family, 4, 5, CASE WHEN f.billed_unit_id = chosen.billed_unit_id THEN 0 ELSE f.billed_unit_id END
)
SELECT cost.account_sid, cost.month, coalesce(cost.iso_country, network.iso_country)::varchar(8) AS iso_country, country.name AS country_name,
    cost.network_sid, network.name AS network_name, cost.data_total, cost.data_total_billed, cost.billed_unit,
    round(cost.data_total_billed * 1000000 / nullif(cost.billed_total, 0), 4) AS cost_per_mb,
    round(cost.data_total / nullif(sum(cost.data_total) OVER (PARTITION BY cost.account_id, cost.month), 0), 4) AS data_share,
    round(cost.data_total_billed / nullif(sum(cost.data_total_billed) OVER (PARTITION BY cost.account_id, cost.month, cost.billed_unit), 0), 4) AS cost_share
FROM cost
LEFT JOIN simusage.network ON network.sid = cost.network_sid
LEFT JOIN simusage.country ON country.iso_country = coalesce(cost.iso_country, network.iso_country);

COMMENT ON VIEW usage.roaming_cost IS 'What data costs by month, country and network. One row for each account, month, network; by country while no stream asks for networks. A second one only where a second currency was billed.';
COMMENT ON COLUMN usage.roaming_cost.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.roaming_cost.month IS 'First day of the month, UTC.';
COMMENT ON COLUMN usage.roaming_cost.iso_country IS 'ISO 3166 alpha-2 code of the country; empty where the API names none, NULL if the network is not known.';
COMMENT ON COLUMN usage.roaming_cost.country_name IS 'English name of the country.';
COMMENT ON COLUMN usage.roaming_cost.network_sid IS 'SID of the network (HW…); empty where the API names none, NULL in a row for a whole country.';
COMMENT ON COLUMN usage.roaming_cost.network_name IS 'Name of the network.';
COMMENT ON COLUMN usage.roaming_cost.data_total IS 'Bytes in all.';
COMMENT ON COLUMN usage.roaming_cost.data_total_billed IS 'Money billed for this usage, in billed_unit; that of the last day or two may be still to come.';
COMMENT ON COLUMN usage.roaming_cost.billed_unit IS 'Currency of data_total_billed (ISO 4217); NULL until billing has arrived.';
COMMENT ON COLUMN usage.roaming_cost.cost_per_mb IS 'Money for 1,000,000 bytes, of the bytes that are billed; NULL where none is.';
COMMENT ON COLUMN usage.roaming_cost.data_share IS 'Share of the bytes of the account in the month: 1 is all of them.';
COMMENT ON COLUMN usage.roaming_cost.cost_share IS 'Share of the money of the account in the month and currency: 1 is all of it; NULL if there is none.';
