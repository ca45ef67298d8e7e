-- What a run met and where its time went, so that metrics are told from the database, whoever ran.

ALTER TABLE simusage.run
    ADD COLUMN statuses jsonb   NOT NULL DEFAULT '{}',
    ADD COLUMN waited   numeric NOT NULL DEFAULT 0,
    ADD COLUMN phases   jsonb   NOT NULL DEFAULT '{}';
COMMENT ON COLUMN simusage.run.statuses IS 'How often the API answered with which HTTP status.';
COMMENT ON COLUMN simusage.run.waited IS 'Seconds that requests waited, all together: for a place among those in flight, for the rate, between attempts.';
COMMENT ON COLUMN simusage.run.phases IS 'Seconds of each phase: walk, months, names.';
