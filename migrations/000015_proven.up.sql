-- Two hundred processes may end at the same moment, with a hundred thousand slices in the books. What was held against the total,
-- and has not been published since, need not be held against it again.

ALTER TABLE simusage.slice ADD COLUMN compared_for timestamptz;
COMMENT ON COLUMN simusage.slice.compared_for IS 'The publish (its published_at) that was held against the total, or, of the total''s own slice, that all breakdowns were held against. While it is another one, that is still to be done.';

-- What was published and is not held against the total yet, or not in the rollups of its month.
CREATE INDEX slice_news ON simusage.slice (stream_id, window_start)
    WHERE compared_for IS DISTINCT FROM published_at AND trimmed_at IS NULL OR rolled_up_for IS DISTINCT FROM published_at;

-- Walks that are open, and what is left of spans.
CREATE INDEX slice_walk ON simusage.slice (id) WHERE walk_started_at IS NOT NULL OR walk_leader IS NOT NULL;

-- What was read before a certain time is due again where somebody asks for that; what was read in the future, always. The
-- window is in the index because most of what was read long ago may lie beyond the wall.
CREATE INDEX slice_checked ON simusage.slice (stream_id, checked_at, window_start);
