-- The staged records as rows, to be compared with what is published.
CREATE TEMP TABLE stage (
    list_no           integer  NOT NULL,
    page              integer  NOT NULL,
    period_start      {period} NOT NULL,
    series_id         integer  NOT NULL,
    data_upload       bigint   NOT NULL,
    data_download     bigint   NOT NULL,
    data_total        bigint   NOT NULL,
    billed_unit_id    smallint NOT NULL,
    data_total_billed numeric
) ON COMMIT DROP
