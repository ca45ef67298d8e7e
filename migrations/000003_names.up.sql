-- What SIMs, fleets and networks are called. Facts do not refer to these tables: a SIM that is deleted keeps its usage.

ALTER TABLE simusage.account
    ADD COLUMN names_at            timestamptz,
    ADD COLUMN names_fence         bigint NOT NULL DEFAULT 0,
    ADD COLUMN names_claimed_until timestamptz;
COMMENT ON COLUMN simusage.account.names_at IS 'When the names were read last, by the program''s clock.';
COMMENT ON COLUMN simusage.account.names_fence IS 'Goes up whenever a process sets out to read the names; whoever holds an older number can write none.';

CREATE TABLE simusage.sim (
    account_id  smallint    NOT NULL REFERENCES simusage.account,
    sid         varchar(34) NOT NULL,
    unique_name text,
    iccid       text,
    status      text,
    fleet_sid   varchar(34),
    created_at  timestamptz,
    updated_at  timestamptz,
    gone_at     timestamptz,
    PRIMARY KEY (account_id, sid)
);
COMMENT ON TABLE simusage.sim IS 'SIMs as the API lists them today. gone_at: since when it lists them no more. ICCIDs are personal data, stored only when asked for.';

CREATE TABLE simusage.sim_history (
    account_id  smallint    NOT NULL REFERENCES simusage.account,
    sid         varchar(34) NOT NULL,
    valid_from  timestamptz NOT NULL,
    valid_to    timestamptz NOT NULL DEFAULT 'infinity',
    unique_name text,
    status      text,
    fleet_sid   varchar(34),
    PRIMARY KEY (account_id, sid, valid_from)
);
CREATE UNIQUE INDEX sim_history_now ON simusage.sim_history (account_id, sid) WHERE valid_to = 'infinity';
COMMENT ON TABLE simusage.sim_history IS 'A SIM''s name, status and fleet over time, as often as the lists were read.';

CREATE TABLE simusage.fleet (
    account_id                 smallint    NOT NULL REFERENCES simusage.account,
    sid                        varchar(34) NOT NULL,
    unique_name                text,
    data_enabled               boolean,
    data_limit                 bigint,
    data_metering              text,
    network_access_profile_sid varchar(34),
    created_at                 timestamptz,
    updated_at                 timestamptz,
    gone_at                    timestamptz,
    PRIMARY KEY (account_id, sid)
);
COMMENT ON TABLE simusage.fleet IS 'Fleets as the API lists them today. data_limit is in megabytes.';

CREATE TABLE simusage.network (
    sid         varchar(34) PRIMARY KEY,
    name        text,
    iso_country varchar(8),
    identifiers jsonb
);
COMMENT ON TABLE simusage.network IS 'Networks of mobile operators; they belong to no account. identifiers: mcc and mnc as text, because leading zeros count.';
