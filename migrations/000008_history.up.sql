-- One SIM's history. A second tree would cost 30 bytes a row and, because SIMs report every hour, a page write for each row;
-- this index costs a byte a row: within an hour the rows lie in the order of their series, so four pages hold a narrow range.
CREATE INDEX usage_hourly_series ON simusage.usage_hourly USING brin (series_id) WITH (pages_per_range = 4, autosummarize = on);
