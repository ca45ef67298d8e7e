-- A SIM over time.
CREATE OR REPLACE VIEW usage.sim_history AS
SELECT account.sid AS account_sid, h.sid AS sim_sid, h.valid_from, h.valid_to, h.unique_name AS sim_name, h.status, h.fleet_sid
FROM simusage.sim_history h
JOIN simusage.account ON account.id = h.account_id;

COMMENT ON VIEW usage.sim_history IS 'Name, status and fleet of each SIM over time, as often as the lists were read. One row for each account, SIM and range of time.';
COMMENT ON COLUMN usage.sim_history.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.sim_history.sim_sid IS 'SID of the SIM (HS…).';
COMMENT ON COLUMN usage.sim_history.valid_from IS 'From when on it was so, or was first seen so.';
COMMENT ON COLUMN usage.sim_history.valid_to IS 'Until when; infinity: still so.';
COMMENT ON COLUMN usage.sim_history.sim_name IS 'Its unique name then.';
COMMENT ON COLUMN usage.sim_history.status IS 'Its status then.';
COMMENT ON COLUMN usage.sim_history.fleet_sid IS 'The fleet that it was in then.';
