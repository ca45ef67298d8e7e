-- The month of each fleet so far, against its limit. The fleet is the one that a SIM is in today, because the limit is.
-- The days are summed for each series (like simusage.usage_day has them) before anything is joined to it: there are many.
CREATE OR REPLACE VIEW usage.fleet_month_to_date AS
WITH done AS (
    SELECT complete.account_id, newest.month, newest.day AS last_day, count(*) AS days,
        (newest.month + interval '1 month')::date - newest.month AS days_in_month
    FROM simusage.complete_day complete
    JOIN (
        SELECT account_id, max(day) AS day, date_trunc('month', max(day)::timestamp)::date AS month
        FROM simusage.complete_day
        WHERE family = 'sim'
        GROUP BY account_id
    ) newest ON newest.account_id = complete.account_id AND complete.day >= newest.month
    WHERE complete.family = 'sim'
    GROUP BY complete.account_id, newest.month, newest.day
), used AS (
    SELECT u.account_id, coalesce(sim.fleet_sid, '')::varchar(34) AS fleet_sid, u.sim_sid, u.unit_group, u.data_total, u.data_total_billed, u.billed_unit,
        sim.unique_name AS sim_name, u.data_total * u.days_in_month / u.days AS projected_total
    FROM (
        SELECT done.account_id, done.days, done.days_in_month, series.sim_sid, CASE WHEN f.billed_unit_id = account.billed_unit_id THEN 0 ELSE f.billed_unit_id END AS unit_group,
            sum(f.data_total) AS data_total, sum(f.data_total_billed) AS data_total_billed, max(nullif(unit.code, '')) AS billed_unit
        FROM done
        JOIN simusage.feed ON feed.account_id = done.account_id AND feed.family = 'sim' AND feed.grain = 'day'
        JOIN simusage.account ON account.id = feed.account_id
        JOIN simusage.stream part ON coalesce(part.remainder_of, part.id) = feed.stream_id
        CROSS JOIN LATERAL (
            SELECT series_id, billed_unit_id, sum(data_total) AS data_total, sum(data_total_billed) AS data_total_billed
            FROM simusage.usage_daily
            WHERE stream_id = part.id AND period_start >= done.month AND period_start <= done.last_day
                AND period_start >= (feed.valid_from AT TIME ZONE 'UTC')::date AND period_start < (feed.valid_to AT TIME ZONE 'UTC')::date
            GROUP BY series_id, billed_unit_id
        ) f
        JOIN simusage.series ON series.id = f.series_id
        JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id
        GROUP BY done.account_id, done.days, done.days_in_month, series.sim_sid, CASE WHEN f.billed_unit_id = account.billed_unit_id THEN 0 ELSE f.billed_unit_id END
    ) u
    LEFT JOIN simusage.sim ON sim.account_id = u.account_id AND sim.sid = u.sim_sid
), by_sim AS (
    SELECT used.account_id, used.fleet_sid, sim_sid, sim_name, sum(data_total) AS data_total, sum(projected_total) AS projected_total, fleet.data_limit * 1000000 AS data_limit
    FROM used
    LEFT JOIN simusage.fleet ON fleet.account_id = used.account_id AND fleet.sid = used.fleet_sid
    GROUP BY used.account_id, used.fleet_sid, sim_sid, sim_name, fleet.data_limit
), by_fleet AS (
    SELECT account_id, fleet_sid, count(*) FILTER (WHERE data_total > 0 AND sim_sid <> '') AS sims_with_usage,
        count(*) FILTER (WHERE data_total > data_limit) AS sims_over_limit, count(*) FILTER (WHERE projected_total > data_limit) AS sims_projected_over
    FROM by_sim
    GROUP BY account_id, fleet_sid
), top AS (
    SELECT DISTINCT ON (account_id, fleet_sid) account_id, fleet_sid, sim_sid, sim_name, data_total
    FROM by_sim
    WHERE data_total > 0 AND sim_sid <> ''
    ORDER BY account_id, fleet_sid, data_total DESC, sim_sid
), money AS (
    SELECT account_id, fleet_sid, sum(data_total) AS data_total, sum(projected_total) AS projected_total, sum(data_total_billed) AS data_total_billed, max(billed_unit) AS billed_unit
    FROM used
    GROUP BY account_id, fleet_sid, unit_group
), member AS (
    SELECT account_id, coalesce(fleet_sid, '')::varchar(34) AS fleet_sid, count(*) AS sims
    FROM simusage.sim
    WHERE gone_at IS NULL
    GROUP BY account_id, coalesce(fleet_sid, '')::varchar(34)
), fleets AS (
    SELECT account_id, sid AS fleet_sid FROM simusage.fleet WHERE gone_at IS NULL
    UNION SELECT account_id, fleet_sid FROM member
    UNION SELECT account_id, fleet_sid FROM money
)
SELECT account.sid AS account_sid, fleets.fleet_sid, fleet.unique_name AS fleet_name, done.month, (done.last_day + 1)::timestamp AT TIME ZONE 'UTC' AS complete_until,
    coalesce(member.sims, 0) AS sims, coalesce(by_fleet.sims_with_usage, 0) AS sims_with_usage,
    coalesce(money.data_total, 0)::bigint AS data_total, coalesce(round(money.projected_total), 0)::bigint AS projected_total,
    coalesce(money.data_total_billed, 0) AS data_total_billed, money.billed_unit, fleet.data_limit * 1000000 AS data_limit,
    coalesce(by_fleet.sims_over_limit, 0) AS sims_over_limit, coalesce(by_fleet.sims_projected_over, 0) AS sims_projected_over,
    top.sim_sid AS top_sim_sid, top.sim_name AS top_sim_name, top.data_total::bigint AS top_sim_total,
    round(top.data_total / nullif(fleet.data_limit * 1000000, 0), 4) AS top_sim_share
FROM done
JOIN simusage.account ON account.id = done.account_id
JOIN fleets ON fleets.account_id = done.account_id
LEFT JOIN simusage.fleet ON fleet.account_id = fleets.account_id AND fleet.sid = fleets.fleet_sid
LEFT JOIN member ON member.account_id = fleets.account_id AND member.fleet_sid = fleets.fleet_sid
LEFT JOIN money ON money.account_id = fleets.account_id AND money.fleet_sid = fleets.fleet_sid
LEFT JOIN by_fleet ON by_fleet.account_id = fleets.account_id AND by_fleet.fleet_sid = fleets.fleet_sid
LEFT JOIN top ON top.account_id = fleets.account_id AND top.fleet_sid = fleets.fleet_sid;

COMMENT ON VIEW usage.fleet_month_to_date IS 'The month of the last complete day, up to that day, for each fleet as it is today. One row for each account and fleet; a second one only where a second currency was billed, with the bytes and the money of that currency and all else the same.';
COMMENT ON COLUMN usage.fleet_month_to_date.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.fleet_month_to_date.fleet_sid IS 'SID of the fleet (HF…) that the SIMs are in today; empty for usage of SIMs that are in none or not listed.';
COMMENT ON COLUMN usage.fleet_month_to_date.fleet_name IS 'Its unique name.';
COMMENT ON COLUMN usage.fleet_month_to_date.month IS 'First day of the month, UTC.';
COMMENT ON COLUMN usage.fleet_month_to_date.complete_until IS 'End of the last complete day; later usage is not counted.';
COMMENT ON COLUMN usage.fleet_month_to_date.sims IS 'SIMs in the fleet today.';
COMMENT ON COLUMN usage.fleet_month_to_date.sims_with_usage IS 'SIMs that used anything in the month.';
COMMENT ON COLUMN usage.fleet_month_to_date.data_total IS 'Bytes in all.';
COMMENT ON COLUMN usage.fleet_month_to_date.projected_total IS 'Bytes in all at the end of the month if it goes on like its complete days.';
COMMENT ON COLUMN usage.fleet_month_to_date.data_total_billed IS 'Money billed for this usage, in billed_unit; that of the last day or two may be still to come.';
COMMENT ON COLUMN usage.fleet_month_to_date.billed_unit IS 'Currency of data_total_billed (ISO 4217); NULL until billing has arrived.';
COMMENT ON COLUMN usage.fleet_month_to_date.data_limit IS 'Bytes that one SIM of the fleet may use in a month; NULL without a limit.';
COMMENT ON COLUMN usage.fleet_month_to_date.sims_over_limit IS 'SIMs that have used more than the limit.';
COMMENT ON COLUMN usage.fleet_month_to_date.sims_projected_over IS 'SIMs that will have used more than the limit at the end of the month, if it goes on like its complete days.';
COMMENT ON COLUMN usage.fleet_month_to_date.top_sim_sid IS 'SID of the SIM that used most; NULL if none used anything.';
COMMENT ON COLUMN usage.fleet_month_to_date.top_sim_name IS 'Its unique name; NULL if it has none.';
COMMENT ON COLUMN usage.fleet_month_to_date.top_sim_total IS 'Its bytes in all.';
COMMENT ON COLUMN usage.fleet_month_to_date.top_sim_share IS 'Its share of the limit: 1 is all of it; NULL without a limit.';
