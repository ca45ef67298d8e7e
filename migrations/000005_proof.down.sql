ALTER TABLE simusage.slice DROP COLUMN held_at, DROP COLUMN held_digest, DROP COLUMN held_rows, DROP COLUMN held_bytes,
    DROP COLUMN accepted, DROP COLUMN doubted, DROP COLUMN doubts;
