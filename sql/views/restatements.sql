-- What changed after it was final: old and new values.
CREATE OR REPLACE VIEW usage.restatements AS
SELECT account.sid AS account_sid, stream.name AS stream, r.restated_at, r.period_start,
    series.sim_sid, series.fleet_sid, series.network_sid, series.iso_country,
    r.old_data_upload, r.old_data_download, r.old_data_total, r.old_data_total_billed, nullif(old_unit.code, '') AS old_billed_unit,
    r.new_data_upload, r.new_data_download, r.new_data_total, r.new_data_total_billed, nullif(new_unit.code, '') AS new_billed_unit
FROM simusage.restatement r
JOIN simusage.series ON series.id = r.series_id
JOIN simusage.stream ON stream.id = series.stream_id
JOIN simusage.account ON account.id = stream.account_id
LEFT JOIN simusage.billed_unit old_unit ON old_unit.id = r.old_billed_unit_id
LEFT JOIN simusage.billed_unit new_unit ON new_unit.id = r.new_billed_unit_id;

COMMENT ON VIEW usage.restatements IS 'Settled usage that the API said otherwise later. One row for each changed record.';
COMMENT ON COLUMN usage.restatements.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.restatements.stream IS 'What was asked for: granularity/group[@fan-out].';
COMMENT ON COLUMN usage.restatements.restated_at IS 'When the change was loaded.';
COMMENT ON COLUMN usage.restatements.period_start IS 'Start of the hour, day or month.';
COMMENT ON COLUMN usage.restatements.sim_sid IS 'SID of the SIM; empty if the stream is not broken down by SIM.';
COMMENT ON COLUMN usage.restatements.fleet_sid IS 'SID of the fleet; empty if the stream is not broken down by fleet.';
COMMENT ON COLUMN usage.restatements.network_sid IS 'SID of the network; empty if the stream is not broken down by network.';
COMMENT ON COLUMN usage.restatements.iso_country IS 'Country; empty if the stream is not broken down by country.';
COMMENT ON COLUMN usage.restatements.old_data_upload IS 'Bytes sent before; NULL if the record was not there.';
COMMENT ON COLUMN usage.restatements.old_data_download IS 'Bytes received before.';
COMMENT ON COLUMN usage.restatements.old_data_total IS 'Bytes in all before.';
COMMENT ON COLUMN usage.restatements.old_data_total_billed IS 'Money before.';
COMMENT ON COLUMN usage.restatements.old_billed_unit IS 'Currency before.';
COMMENT ON COLUMN usage.restatements.new_data_upload IS 'Bytes sent now; NULL if the record is not there any more.';
COMMENT ON COLUMN usage.restatements.new_data_download IS 'Bytes received now.';
COMMENT ON COLUMN usage.restatements.new_data_total IS 'Bytes in all now.';
COMMENT ON COLUMN usage.restatements.new_data_total_billed IS 'Money now.';
COMMENT ON COLUMN usage.restatements.new_billed_unit IS 'Currency now.';
