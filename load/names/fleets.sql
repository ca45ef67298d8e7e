-- Each fleet that is new or says something else.
INSERT INTO simusage.fleet AS f (account_id, sid, unique_name, data_enabled, data_limit, data_metering, network_access_profile_sid, created_at, updated_at)
SELECT n.account_id, n.sid, n.unique_name, n.data_enabled, n.data_limit, n.data_metering, n.network_access_profile_sid, n.created_at, n.updated_at
FROM {fleets} n LEFT JOIN simusage.fleet o ON o.account_id = n.account_id AND o.sid = n.sid
WHERE (o.sid, o.unique_name, o.data_enabled, o.data_limit, o.data_metering, o.network_access_profile_sid, o.created_at, o.updated_at, o.gone_at)
    IS DISTINCT FROM (n.sid, n.unique_name, n.data_enabled, n.data_limit, n.data_metering, n.network_access_profile_sid, n.created_at, n.updated_at, NULL::timestamptz)
ON CONFLICT (account_id, sid) DO UPDATE SET unique_name = excluded.unique_name, data_enabled = excluded.data_enabled, data_limit = excluded.data_limit,
    data_metering = excluded.data_metering, network_access_profile_sid = excluded.network_access_profile_sid,
    created_at = excluded.created_at, updated_at = excluded.updated_at, gone_at = NULL
