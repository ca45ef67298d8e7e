-- From where on each stream's published slices are not settled yet. Everything before is settled: the oldest slice that
-- was read too early to be final is the boundary.
CREATE OR REPLACE VIEW simusage.unsettled AS
SELECT stream_id, min(window_start) AS since
FROM simusage.slice
WHERE published_at IS NOT NULL AND NOT settled
GROUP BY stream_id;
