-- And the next one begins.
INSERT INTO simusage.sim_history (account_id, sid, valid_from, unique_name, status, fleet_sid)
SELECT s.account_id, s.sid, $2, s.unique_name, s.status, s.fleet_sid
FROM simusage.sim s LEFT JOIN simusage.sim_history h ON h.account_id = s.account_id AND h.sid = s.sid AND h.valid_to = 'infinity'
WHERE s.account_id = $1 AND s.gone_at IS NULL AND h.sid IS NULL
