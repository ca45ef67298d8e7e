-- Months as rollups, one for each family of views: summing 30 days of 100,000 SIMs whenever somebody asks takes seconds.

ALTER TABLE simusage.usage_monthly SET (fillfactor = 70);
ALTER TABLE simusage.usage_monthly DROP CONSTRAINT usage_monthly_pkey,
    ADD PRIMARY KEY (stream_id, period_start, series_id, billed_unit_id);
COMMENT ON TABLE simusage.usage_monthly IS 'Months: the rollups that the monthly views read, and the streams of granularity "all", asked month by month. A row for each currency, because sums never mix units.';

ALTER TABLE simusage.stream
    ADD COLUMN rollup_of     smallint REFERENCES simusage.stream,
    ADD COLUMN rollup_family text,
    ADD UNIQUE (rollup_of, rollup_family);
COMMENT ON COLUMN simusage.stream.rollup_of IS 'The stream whose months the facts of this one are, summed for one family of views: derived, never asked for.';

ALTER TABLE simusage.slice ADD COLUMN rolled_up_for timestamptz;
COMMENT ON COLUMN simusage.slice.rolled_up_for IS 'The publish (its published_at) that the month''s rollups know. While it is another one, the month is summed from its days.';
