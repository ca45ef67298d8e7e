-- The stage of one walk: a table of its own, so that emptying it is a drop, with a row for each page and slice, which is a
-- hundredth of what a row for each record costs. Unlogged: it costs no WAL, and a crash of Postgres empties it, which a count
-- against the checkpoint finds out. slot is which calendar slice of what is asked; data are its records in the binary format
-- of COPY, not compressed: they are gone in a moment.
CREATE UNLOGGED TABLE {pages} (
    list_no integer NOT NULL,
    page    integer NOT NULL,
    slot    integer NOT NULL,
    rows    integer NOT NULL,
    data    bytea   NOT NULL
);
ALTER TABLE {pages} ALTER COLUMN data SET STORAGE EXTERNAL;
