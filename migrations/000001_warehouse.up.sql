-- The machine room: schema simusage. Readers have no grants here; they read the views of schema usage (sql/views).
--
-- Narrow facts, wide views: a fact row names its dimensions by one small integer (series), so that it costs about
-- 130 bytes with its index instead of 330 with the SIDs as text.

CREATE SCHEMA IF NOT EXISTS simusage;
CREATE SCHEMA IF NOT EXISTS usage;
COMMENT ON SCHEMA usage IS 'Super SIM data usage for readers: one view a question. Times are UTC, data is bytes.';

CREATE TABLE simusage.billed_unit (
    id   smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE
);
COMMENT ON TABLE simusage.billed_unit IS 'Currencies seen in data_total_billed; 0 is "not billed yet".';
INSERT INTO simusage.billed_unit (id, code) OVERRIDING SYSTEM VALUE VALUES (0, '');

CREATE TABLE simusage.account (
    id             smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text        NOT NULL UNIQUE,
    sid            varchar(34) UNIQUE,
    billed_unit_id smallint    NOT NULL DEFAULT 0 REFERENCES simusage.billed_unit,
    created_at     timestamptz NOT NULL
);
COMMENT ON TABLE simusage.account IS 'One set of credentials. The SID is the identity, learnt from the answers where the credentials do not tell it; the name is today''s configuration.';
COMMENT ON COLUMN simusage.account.billed_unit_id IS 'The first currency seen. Usage that is not billed yet is summed with it; any other currency stays a row of its own.';

CREATE TABLE simusage.stream (
    id          smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id  smallint NOT NULL REFERENCES simusage.account,
    name        text     NOT NULL,
    granularity text     NOT NULL CHECK (granularity IN ('hour', 'day', 'all')),
    grouping    text     NOT NULL,
    filters     text     NOT NULL,
    UNIQUE (account_id, name)
);
COMMENT ON TABLE simusage.stream IS 'What is asked for: granularity/group[@fan-out][:filter=value]. Streams of equal granularity and filters are reconciled with the one whose grouping is "total".';

CREATE TABLE simusage.feed (
    account_id smallint    NOT NULL REFERENCES simusage.account,
    family     text        NOT NULL,
    grain      text        NOT NULL CHECK (grain IN ('hour', 'day', 'month')),
    stream_id  smallint    NOT NULL REFERENCES simusage.stream,
    valid_from timestamptz NOT NULL,
    valid_to   timestamptz NOT NULL,
    PRIMARY KEY (account_id, family, grain, valid_from),
    CHECK (valid_from < valid_to)
);
COMMENT ON TABLE simusage.feed IS 'Which one stream a family of views reads, for which range of time. Ranges of a family never overlap: whatever else is stored, nothing is counted twice.';

CREATE TABLE simusage.series (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id   smallint    NOT NULL REFERENCES simusage.stream,
    sim_sid     varchar(34) NOT NULL,
    fleet_sid   varchar(34) NOT NULL,
    network_sid varchar(34) NOT NULL,
    iso_country varchar(8)  NOT NULL,
    UNIQUE (stream_id, sim_sid, fleet_sid, network_sid, iso_country)
);
COMMENT ON TABLE simusage.series IS 'One combination of dimensions of a stream. Empty text is "not broken down" or "the API names none"; never NULL, because NULLs in a key can neither be hashed nor indexed in a join.';

-- The facts, one table a grain, of one form. The key begins with the stream: a slice is one range of the index.
-- Column order leaves no padding.
CREATE TABLE simusage.usage_hourly (
    period_start      timestamptz NOT NULL,
    data_upload       bigint      NOT NULL,
    data_download     bigint      NOT NULL,
    data_total        bigint      NOT NULL,
    changed_at        timestamptz NOT NULL,
    series_id         integer     NOT NULL,
    stream_id         smallint    NOT NULL,
    billed_unit_id    smallint    NOT NULL,
    data_total_billed numeric,
    PRIMARY KEY (stream_id, period_start, series_id)
) PARTITION BY RANGE (period_start);
COMMENT ON TABLE simusage.usage_hourly IS 'Usage as the API said it, an hour a row. Bytes; money exactly as the text of the answer.';

CREATE TABLE simusage.usage_daily (
    period_start      date        NOT NULL,
    series_id         integer     NOT NULL,
    data_upload       bigint      NOT NULL,
    data_download     bigint      NOT NULL,
    data_total        bigint      NOT NULL,
    changed_at        timestamptz NOT NULL,
    stream_id         smallint    NOT NULL,
    billed_unit_id    smallint    NOT NULL,
    data_total_billed numeric,
    PRIMARY KEY (stream_id, period_start, series_id, billed_unit_id)
) PARTITION BY RANGE (period_start);
COMMENT ON TABLE simusage.usage_daily IS 'Hourly streams rolled up to UTC days at publish, and the streams that are asked by day. A row for each currency, because sums never mix units.';

CREATE TABLE simusage.usage_monthly (
    period_start      date        NOT NULL,
    series_id         integer     NOT NULL,
    data_upload       bigint      NOT NULL,
    data_download     bigint      NOT NULL,
    data_total        bigint      NOT NULL,
    changed_at        timestamptz NOT NULL,
    stream_id         smallint    NOT NULL,
    billed_unit_id    smallint    NOT NULL,
    data_total_billed numeric,
    PRIMARY KEY (stream_id, period_start, series_id)
);
COMMENT ON TABLE simusage.usage_monthly IS 'The streams of granularity "all", asked month by month.';

CREATE TABLE simusage.slice (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id        smallint    NOT NULL REFERENCES simusage.stream,
    window_start     timestamptz NOT NULL,
    window_end       timestamptz NOT NULL,

    published_at     timestamptz,
    checked_at       timestamptz,
    covered_from     timestamptz,
    covered_until    timestamptz,
    settled          boolean     NOT NULL DEFAULT false,
    row_count        bigint      NOT NULL DEFAULT 0,
    list_count       integer     NOT NULL DEFAULT 0,
    digest           bytea,

    walk_started_at  timestamptz,
    ask_from         timestamptz,
    ask_until        timestamptz,

    fence            bigint      NOT NULL DEFAULT 0,
    leased_by        text,
    lease_expires_at timestamptz,

    failures         integer     NOT NULL DEFAULT 0,
    failed_at        timestamptz,
    last_error       text,
    UNIQUE (stream_id, window_start)
) WITH (fillfactor = 50);
COMMENT ON TABLE simusage.slice IS 'Stream × calendar window: the unit of lease, publish and proof. What is published, the walk that is open, who holds it, what went wrong.';
COMMENT ON COLUMN simusage.slice.checked_at IS 'When the walk that was published last began, by the program''s clock.';
COMMENT ON COLUMN simusage.slice.digest IS 'Sum of the hashes of all rows of the last published walk: equal digests, equal slices.';
COMMENT ON COLUMN simusage.slice.fence IS 'Goes up with every lease; whoever holds an older number can neither stage nor publish.';

CREATE TABLE simusage.list (
    slice_id bigint  NOT NULL REFERENCES simusage.slice ON DELETE CASCADE,
    no       integer NOT NULL,
    value    text    NOT NULL,
    cursor   text    NOT NULL DEFAULT '',
    pages    integer NOT NULL DEFAULT 0,
    rows     bigint  NOT NULL DEFAULT 0,
    digest   bytea   NOT NULL DEFAULT '\x00000000000000000000000000000000',
    restarts integer NOT NULL DEFAULT 0,
    done     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (slice_id, no),
    UNIQUE (slice_id, value)
) WITH (fillfactor = 50);
COMMENT ON TABLE simusage.list IS 'The lists of an open walk and their cursors (next_page_url): moved in the transaction that stages the page. A fan-out has a list for each value, found by list 0.';

CREATE TABLE simusage.slice_sum (
    slice_id          bigint   NOT NULL REFERENCES simusage.slice ON DELETE CASCADE,
    billed_unit_id    smallint NOT NULL,
    row_count         bigint   NOT NULL,
    data_upload       bigint   NOT NULL,
    data_download     bigint   NOT NULL,
    data_total        bigint   NOT NULL,
    data_total_billed numeric  NOT NULL,
    PRIMARY KEY (slice_id, billed_unit_id)
);
COMMENT ON TABLE simusage.slice_sum IS 'Sums of a published slice, by currency: what reconciliation compares.';

CREATE TABLE simusage.restatement (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slice_id              bigint      NOT NULL,
    series_id             integer     NOT NULL,
    period_start          timestamptz NOT NULL,
    restated_at           timestamptz NOT NULL,
    old_data_upload       bigint, old_data_download bigint, old_data_total bigint, old_data_total_billed numeric, old_billed_unit_id smallint,
    new_data_upload       bigint, new_data_download bigint, new_data_total bigint, new_data_total_billed numeric, new_billed_unit_id smallint
);
CREATE INDEX restatement_slice ON simusage.restatement (slice_id);
COMMENT ON TABLE simusage.restatement IS 'What a publish changed, added or removed in a settled slice: old and new values, NULL for a row that was not there.';

CREATE TABLE simusage.rejected (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slice_id        bigint      NOT NULL REFERENCES simusage.slice ON DELETE CASCADE,
    list_no         integer     NOT NULL,
    walk_started_at timestamptz NOT NULL,
    reason          text        NOT NULL,
    raw             text        NOT NULL,
    seen_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rejected_slice ON simusage.rejected (slice_id);
COMMENT ON TABLE simusage.rejected IS 'Records of the API that could not be understood, with their raw text: set aside, never dropped.';

CREATE TABLE simusage.run (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command        text        NOT NULL,
    arguments      text        NOT NULL,
    host           text        NOT NULL,
    pid            integer     NOT NULL,
    version        text        NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT now(),
    seen_at        timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    outcome        text,
    exit_code      smallint,
    error          text,
    slices         integer NOT NULL DEFAULT 0,
    unchanged      integer NOT NULL DEFAULT 0,
    failed         integer NOT NULL DEFAULT 0,
    left_due       integer NOT NULL DEFAULT 0,
    pages          bigint  NOT NULL DEFAULT 0,
    rows           bigint  NOT NULL DEFAULT 0,
    rows_inserted  bigint  NOT NULL DEFAULT 0,
    rows_updated   bigint  NOT NULL DEFAULT 0,
    rows_deleted   bigint  NOT NULL DEFAULT 0,
    rejected       bigint  NOT NULL DEFAULT 0,
    requests       bigint  NOT NULL DEFAULT 0,
    retries        bigint  NOT NULL DEFAULT 0,
    throttled      bigint  NOT NULL DEFAULT 0
);
COMMENT ON TABLE simusage.run IS 'One row a run of the program. A run without an end that has not been seen for a while was killed.';

CREATE TABLE simusage.view_install (
    only_one     boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    digest       text        NOT NULL,
    installed_at timestamptz NOT NULL
);
COMMENT ON TABLE simusage.view_install IS 'The digest of the view files that schema usage was installed from.';
