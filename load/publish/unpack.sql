-- The staged records as rows, to be compared with what is published. Runs are in the order in which their rows were said.
CREATE TEMP TABLE stage (
    run               integer  NOT NULL,
    period_start      {period} NOT NULL,
    series_id         integer  NOT NULL,
    data_upload       bigint   NOT NULL,
    data_download     bigint   NOT NULL,
    data_total        bigint   NOT NULL,
    billed_unit_id    smallint NOT NULL,
    data_total_billed numeric
) ON COMMIT DROP
