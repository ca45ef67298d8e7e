-- What was set aside: records of the API that could not be understood. While a slice that readers see already is walked
-- again, they see what the published walk has set aside, and not the same records twice.
CREATE OR REPLACE VIEW usage.rejected AS
SELECT account.sid AS account_sid, account.name AS account, stream.name AS stream, slice.window_start, rejected.list_value, rejected.reason, rejected.raw, rejected.seen_at
FROM simusage.rejected
JOIN simusage.slice ON slice.id = rejected.slice_id
JOIN simusage.stream ON stream.id = slice.stream_id
JOIN simusage.account ON account.id = stream.account_id
WHERE slice.published_at IS NULL OR rejected.walk_started_at IS DISTINCT FROM slice.walk_started_at;

COMMENT ON VIEW usage.rejected IS 'Records of the API that could not be understood: set aside, in no sum. One row for each record.';
COMMENT ON COLUMN usage.rejected.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.rejected.account IS 'Name of the account in the configuration; empty when there is just one.';
COMMENT ON COLUMN usage.rejected.stream IS 'What was asked for: granularity/group[@fan-out].';
COMMENT ON COLUMN usage.rejected.window_start IS 'Start of the slice, a UTC day or month, that was asked for.';
COMMENT ON COLUMN usage.rejected.list_value IS 'Value of the fan-out that was asked for; empty if the stream has none, and for the list that finds the values.';
COMMENT ON COLUMN usage.rejected.reason IS 'What is wrong with it, in the same words for the same mistake.';
COMMENT ON COLUMN usage.rejected.raw IS 'The record as the API sent it, cut off after 8 KiB.';
COMMENT ON COLUMN usage.rejected.seen_at IS 'When it was read.';
