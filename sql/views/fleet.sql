-- The fleets, as the API lists them today.
CREATE OR REPLACE VIEW usage.fleet AS
SELECT account.sid AS account_sid, fleet.sid AS fleet_sid, fleet.unique_name AS fleet_name, fleet.data_enabled, fleet.data_limit, fleet.data_metering,
    fleet.network_access_profile_sid, fleet.created_at, fleet.updated_at, fleet.gone_at
FROM simusage.fleet
JOIN simusage.account ON account.id = fleet.account_id;

COMMENT ON VIEW usage.fleet IS 'Fleets as the API lists them today. One row for each account and fleet.';
COMMENT ON COLUMN usage.fleet.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.fleet.fleet_sid IS 'SID of the fleet (HF…).';
COMMENT ON COLUMN usage.fleet.fleet_name IS 'Its unique name.';
COMMENT ON COLUMN usage.fleet.data_enabled IS 'Whether its SIMs may use data.';
COMMENT ON COLUMN usage.fleet.data_limit IS 'Data limit in megabytes.';
COMMENT ON COLUMN usage.fleet.data_metering IS 'How data is metered.';
COMMENT ON COLUMN usage.fleet.network_access_profile_sid IS 'SID of the profile that says which networks may be used.';
COMMENT ON COLUMN usage.fleet.created_at IS 'When it was made.';
COMMENT ON COLUMN usage.fleet.updated_at IS 'When it was changed last.';
COMMENT ON COLUMN usage.fleet.gone_at IS 'Since when the API lists it no more; NULL while it does.';
