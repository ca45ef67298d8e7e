-- The stage of one walk: a table of its own, so that no publish reads the rows of another, and emptying it is a drop.
-- Unlogged: it costs no WAL, and a crash of Postgres empties it, which a count against the checkpoint finds out.
CREATE UNLOGGED TABLE {stage} (
    period_start      {period} NOT NULL,
    data_upload       bigint   NOT NULL,
    data_download     bigint   NOT NULL,
    data_total        bigint   NOT NULL,
    series_id         integer  NOT NULL,
    list_no           integer  NOT NULL,
    page              integer  NOT NULL,
    billed_unit_id    smallint NOT NULL,
    data_total_billed numeric
);
