-- Months as rollups: summing 30 days of 100,000 SIMs whenever somebody asks takes seconds.

ALTER TABLE simusage.usage_monthly DROP CONSTRAINT usage_monthly_pkey,
    ADD PRIMARY KEY (stream_id, period_start, series_id, billed_unit_id);
ALTER TABLE simusage.usage_monthly SET (fillfactor = 70);
COMMENT ON TABLE simusage.usage_monthly IS 'Days rolled up to months, and the streams of granularity "all", asked month by month. A row for each currency, because sums never mix units.';

ALTER TABLE simusage.slice ADD COLUMN rolled_up_for timestamptz;
COMMENT ON COLUMN simusage.slice.rolled_up_for IS 'The publish (its published_at) that the month''s rollup knows. While it is another one, the month is summed from its days.';
