-- What the proof needs: slices that are held back because they shrank, and slices that are read again because they do not
-- agree with the total.

ALTER TABLE simusage.slice
    ADD COLUMN held_at     timestamptz,
    ADD COLUMN held_digest bytea,
    ADD COLUMN held_rows   bigint,
    ADD COLUMN held_bytes  bigint,
    ADD COLUMN accepted    boolean  NOT NULL DEFAULT false,
    ADD COLUMN doubted     boolean  NOT NULL DEFAULT false,
    ADD COLUMN doubts      smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN simusage.slice.held_at IS 'Since when an answer that is much smaller than what is published is held back, by the program''s clock; held_digest, held_rows and held_bytes are of that answer.';
COMMENT ON COLUMN simusage.slice.accepted IS 'An operator has said that the smaller answer is right.';
COMMENT ON COLUMN simusage.slice.doubted IS 'Due again, because its sums do not agree with the total; doubts is how often that was so in a row.';
