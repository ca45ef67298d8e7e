-- The series that a rollup needs and that are not there yet, of the stream that has them ($1). {sim}, {fleet}, {network} and {country} are the columns of s that the family
-- of views shows, '' for the others.
INSERT INTO simusage.series (stream_id, sim_sid, fleet_sid, network_sid, iso_country)
SELECT DISTINCT $1::smallint, {sim}, {fleet}, {network}, {country}
FROM simusage.series s
LEFT JOIN simusage.series r ON (r.stream_id, r.sim_sid, r.fleet_sid, r.network_sid, r.iso_country) = ($1, {sim}, {fleet}, {network}, {country})
WHERE s.stream_id = ANY ($2::smallint[]) AND r.id IS NULL
ORDER BY 2, 3, 4, 5
ON CONFLICT (stream_id, sim_sid, fleet_sid, network_sid, iso_country) DO NOTHING
