-- A warehouse of two accounts from 2026-02-01 until 2026-03-10: "main" with as many SIMs as seed.sims says, each used on one
-- day in seed.every, and "emea" with three. Names are as bad as names can be. What is not as it should be: one slice of
-- emea differs from the total, one SIM day is without a price, one SIM used far too much, one SIM is silent.
INSERT INTO simusage.billed_unit (id, code) OVERRIDING SYSTEM VALUE VALUES (1, 'USD'), (2, 'EUR');
INSERT INTO simusage.account (id, name, sid, billed_unit_id, created_at, names_at) OVERRIDING SYSTEM VALUE VALUES
    (1, 'main', 'AC' || repeat('a', 32), 1, '2026-02-01Z', '2026-03-10Z'), (2, 'emea <b>', 'AC' || repeat('b', 32), 2, '2026-02-01Z', '2026-03-10Z');
INSERT INTO simusage.stream (id, account_id, name, granularity, "grouping", filters) OVERRIDING SYSTEM VALUE
SELECT 10 * account + n, account, 'hour/' || family, 'hour', family, ''
FROM generate_series(1, 2) account, unnest(ARRAY['total', 'country', 'sim']) WITH ORDINALITY f (family, n);
INSERT INTO simusage.feed
SELECT account_id, "grouping", grain, id, '-infinity', 'infinity' FROM simusage.stream, unnest(ARRAY['day', 'month']) grain;
INSERT INTO simusage.country VALUES ('DE', 'Germany'), ('FR', 'France') ON CONFLICT DO NOTHING;

INSERT INTO simusage.fleet (account_id, sid, unique_name, data_limit) VALUES
    (1, 'HF' || repeat('1', 32), '</title><i>fleet', 100), (1, 'HF' || repeat('2', 32), 'no limit', NULL), (2, 'HF' || repeat('3', 32), NULL, 1000);
INSERT INTO simusage.sim (account_id, sid, unique_name, status, fleet_sid, created_at)
SELECT 1, 'HS' || lpad(n::text, 32, '0'),
    CASE n WHEN 1 THEN '<script>alert(1)</script>' WHEN 2 THEN '"quoted" & </script><img src=x onerror=alert(2)>' WHEN 3 THEN 'Zähler №3 ' || repeat('very long ', 15) ELSE 'meter ' || n END,
    'active', 'HF' || repeat(CASE n % 2 WHEN 1 THEN '1' ELSE '2' END, 32), '2025-06-01Z'
FROM generate_series(0, current_setting('seed.sims')::int) n;
INSERT INTO simusage.sim (account_id, sid, status, fleet_sid, created_at)
SELECT 2, 'HS' || lpad('e' || n, 32, '0'), 'active', 'HF' || repeat('3', 32), '2025-06-01Z' FROM generate_series(1, 3) n;

DO $$
DECLARE month date;
BEGIN
    FOR month IN SELECT generate_series('2026-02-01'::date, '2026-03-01', '1 month') LOOP
        EXECUTE format('CREATE TABLE simusage.%I PARTITION OF simusage.usage_daily FOR VALUES FROM (%L) TO (%L)',
            'usage_daily_' || to_char(month, 'YYYY_MM'), month, month + interval '1 month');
    END LOOP;
END
$$;

-- SIM 0 of main is the silent one.
INSERT INTO simusage.series (stream_id, sim_sid, fleet_sid, network_sid, iso_country)
SELECT 10 * account_id + 3, sid, '', '', '' FROM simusage.sim WHERE sid <> 'HS' || repeat('0', 32) ORDER BY account_id, sid;
CREATE TEMPORARY TABLE used AS
SELECT series.stream_id, series.id AS series_id, n, '2026-02-01'::date + d AS day,
    CASE WHEN stream_id = 13 AND n = 1 AND d = 35 THEN 250000000 WHEN stream_id = 13 AND n <= 3 THEN 7000000 + 500000 * (d % 7) ELSE 1000000 + (n * 7919 + d * 104729) % 5000000 END AS bytes,
    CASE WHEN d > 35 OR stream_id = 13 AND n = 2 AND d = 32 THEN 0 ELSE stream_id / 10 END AS unit,
    (ARRAY['DE', 'X<Y', 'US', 'JP', 'GB', 'NL', 'SE', 'FR', ''])[1 + n % 9] AS country
FROM (SELECT *, row_number() OVER (PARTITION BY stream_id ORDER BY sim_sid) AS n FROM simusage.series) series,
    generate_series(0, 36) d
WHERE n <= 3 OR (n + d) % current_setting('seed.every')::int = 0;
INSERT INTO simusage.series (stream_id, sim_sid, fleet_sid, network_sid, iso_country)
SELECT DISTINCT stream_id - 1, '', '', '', country FROM used UNION ALL SELECT DISTINCT stream_id - 2, '', '', '', '' FROM used;
INSERT INTO simusage.usage_daily (period_start, series_id, data_upload, data_download, data_total, changed_at, stream_id, billed_unit_id, data_total_billed)
SELECT day, series_id, bytes / 4, bytes - bytes / 4, bytes, timestamptz '2026-03-10Z', stream_id, unit, CASE WHEN unit > 0 THEN bytes / 100000000.0 ELSE 0 END FROM used
UNION ALL
SELECT day, series.id, sum(bytes / 4), sum(bytes - bytes / 4), sum(bytes), timestamptz '2026-03-10Z', series.stream_id, unit, sum(CASE WHEN unit > 0 THEN bytes / 100000000.0 ELSE 0 END)
FROM used JOIN simusage.series ON series.stream_id = used.stream_id - 1 AND series.iso_country = used.country
GROUP BY day, series.id, series.stream_id, unit
UNION ALL
SELECT day, series.id, sum(bytes / 4), sum(bytes - bytes / 4), sum(bytes), timestamptz '2026-03-10Z', series.stream_id, unit, sum(CASE WHEN unit > 0 THEN bytes / 100000000.0 ELSE 0 END)
FROM used JOIN simusage.series ON series.stream_id = used.stream_id - 2
GROUP BY day, series.id, series.stream_id, unit;

INSERT INTO simusage.slice (stream_id, window_start, window_end, published_at, checked_at, covered_from, covered_until, settled, row_count)
SELECT stream.id, day AT TIME ZONE 'UTC', (day + interval '1 day') AT TIME ZONE 'UTC', '2026-03-10 11:00Z', '2026-03-10 11:00Z',
    day AT TIME ZONE 'UTC', (day + interval '1 day') AT TIME ZONE 'UTC', day < '2026-03-07', 1
FROM simusage.stream, generate_series('2026-02-01'::timestamp, '2026-03-09', '1 day') day;
INSERT INTO simusage.slice_sum
SELECT slice.id, f.billed_unit_id, count(*), sum(f.data_upload), sum(f.data_download),
    sum(f.data_total) + CASE WHEN slice.stream_id = 22 AND f.period_start = '2026-03-05' THEN -1234 ELSE 0 END, sum(f.data_total_billed)
FROM simusage.usage_daily f JOIN simusage.slice ON slice.stream_id = f.stream_id AND slice.window_start = f.period_start::timestamp AT TIME ZONE 'UTC'
GROUP BY slice.id, slice.stream_id, f.period_start, f.billed_unit_id;
DROP TABLE used;
ANALYZE;
