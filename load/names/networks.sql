-- Each network that is new or says something else. Networks are the same for all accounts; none is ever removed.
INSERT INTO simusage.network AS w (sid, name, iso_country, identifiers)
SELECT n.sid, n.name, n.iso_country, n.identifiers
FROM {networks} n LEFT JOIN simusage.network o ON o.sid = n.sid
WHERE (o.sid, o.name, o.iso_country, o.identifiers) IS DISTINCT FROM (n.sid, n.name, n.iso_country, n.identifiers)
ORDER BY n.sid
ON CONFLICT (sid) DO UPDATE SET name = excluded.name, iso_country = excluded.iso_country, identifiers = excluded.identifiers
