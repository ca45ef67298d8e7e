-- Each SIM that is new or says something else. What is unchanged is not written.
INSERT INTO simusage.sim AS s (account_id, sid, unique_name, iccid, status, fleet_sid, created_at, updated_at)
SELECT n.account_id, n.sid, n.unique_name, n.iccid, n.status, n.fleet_sid, n.created_at, n.updated_at
FROM {sims} n LEFT JOIN simusage.sim o ON o.account_id = n.account_id AND o.sid = n.sid
WHERE (o.sid, o.unique_name, o.iccid, o.status, o.fleet_sid, o.created_at, o.updated_at, o.gone_at)
    IS DISTINCT FROM (n.sid, n.unique_name, n.iccid, n.status, n.fleet_sid, n.created_at, n.updated_at, NULL::timestamptz)
ON CONFLICT (account_id, sid) DO UPDATE SET unique_name = excluded.unique_name, iccid = excluded.iccid, status = excluded.status,
    fleet_sid = excluded.fleet_sid, created_at = excluded.created_at, updated_at = excluded.updated_at, gone_at = NULL
