-- The SIMs, as the API lists them today.
CREATE OR REPLACE VIEW usage.sim AS
SELECT account.sid AS account_sid, sim.sid AS sim_sid, sim.unique_name AS sim_name, sim.status, sim.fleet_sid, fleet.unique_name AS fleet_name,
    sim.iccid, sim.created_at, sim.updated_at, sim.gone_at
FROM simusage.sim
JOIN simusage.account ON account.id = sim.account_id
LEFT JOIN simusage.fleet ON fleet.account_id = sim.account_id AND fleet.sid = sim.fleet_sid;

COMMENT ON VIEW usage.sim IS 'SIMs as the API lists them today. One row for each account and SIM.';
COMMENT ON COLUMN usage.sim.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.sim.sim_sid IS 'SID of the SIM (HS…).';
COMMENT ON COLUMN usage.sim.sim_name IS 'Its unique name; NULL if it has none.';
COMMENT ON COLUMN usage.sim.status IS 'new, ready, active, inactive or scheduled.';
COMMENT ON COLUMN usage.sim.fleet_sid IS 'SID of the fleet that it is in today; usage is filed under the fleet of its time.';
COMMENT ON COLUMN usage.sim.fleet_name IS 'Name of that fleet.';
COMMENT ON COLUMN usage.sim.iccid IS 'Number of the card; NULL unless SIMUSAGE_ICCID is on.';
COMMENT ON COLUMN usage.sim.created_at IS 'When it was made.';
COMMENT ON COLUMN usage.sim.updated_at IS 'When it was changed last.';
COMMENT ON COLUMN usage.sim.gone_at IS 'Since when the API lists it no more; NULL while it does.';
