-- The chapter of each SIM whose name, status or fleet is another now, or that is gone, ends.
UPDATE simusage.sim_history h SET valid_to = $2
FROM simusage.sim s
WHERE h.account_id = $1 AND h.valid_to = 'infinity' AND s.account_id = h.account_id AND s.sid = h.sid AND h.valid_from < $2
    AND (s.gone_at IS NOT NULL OR (h.unique_name, h.status, h.fleet_sid) IS DISTINCT FROM (s.unique_name, s.status, s.fleet_sid))
