-- Usage that the total has and a breakdown does not give to anything: the unattributed remainder.

ALTER TABLE simusage.stream ADD COLUMN remainder_of smallint UNIQUE REFERENCES simusage.stream;
COMMENT ON COLUMN simusage.stream.remainder_of IS 'The stream whose remainder the facts of this one are: derived, never asked for. The views read both.';

ALTER TABLE simusage.slice
    ADD COLUMN remainder      text,
    ADD COLUMN remainder_size bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN simusage.slice.remainder IS 'What was missing to the total (bytes up, down, in all, money) when the remainder of this slice was made; NULL when it has none.';
COMMENT ON COLUMN simusage.slice.remainder_size IS 'Bytes of the remainder: of the hours (days, months) in which the total is more.';
