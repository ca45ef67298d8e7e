-- Slices, and whether the API remembers them. The wall is extract.Wall. A month that is asked for as one bucket is forgotten
-- with its first day, any other slice with its last.
CREATE OR REPLACE VIEW simusage.slice_remembered AS
SELECT slice.stream_id, slice.window_start, slice.window_end, slice.covered_until, slice.published_at, slice.settled, slice.lease_expires_at,
    now.wall,
    CASE stream.granularity WHEN 'all' THEN slice.window_start >= now.wall::timestamp AT TIME ZONE 'UTC' ELSE slice.window_end > now.wall::timestamp AT TIME ZONE 'UTC' END AS remembered,
    slice.trimmed_at
FROM simusage.slice
JOIN simusage.stream ON stream.id = slice.stream_id
CROSS JOIN (SELECT (now() AT TIME ZONE 'UTC')::date - 539 AS wall) now;
