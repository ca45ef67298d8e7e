-- Of a hundred thousand slices mostly a few may be due, and those that come first are looked for with each lease. This finds
-- them without a look at the others: whatever sync may find due is in it (openSQL in load/slice.go says the same), in order.
CREATE INDEX slice_open ON simusage.slice (stream_id, window_start)
    WHERE NOT settled OR published_at IS NULL OR walk_started_at IS NOT NULL OR covered_until < window_end OR held_at IS NOT NULL OR doubted OR accepted;
