-- How the API's answers differ from what is known of them.
CREATE OR REPLACE VIEW usage.drift AS
SELECT account.sid AS account_sid, account.name AS account, drift.resource, drift.field, drift.kind, drift.first_seen_at, drift.last_seen_at
FROM simusage.drift
JOIN simusage.account ON account.id = drift.account_id;

COMMENT ON VIEW usage.drift IS 'Fields of the API''s answers that the program does not know, or misses. One row for each account and field.';
COMMENT ON COLUMN usage.drift.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.drift.account IS 'Name of the account in the configuration; empty when there is just one.';
COMMENT ON COLUMN usage.drift.resource IS 'Where in the answer: the list (usage_records, sims, fleets, networks), an object in its records (usage_records.period, networks.identifiers), meta, or answer for the object around them.';
COMMENT ON COLUMN usage.drift.field IS 'Name of the field.';
COMMENT ON COLUMN usage.drift.kind IS 'new: it is not known, and what it holds is not loaded. missing: no record of a page had it, and it counts as null.';
COMMENT ON COLUMN usage.drift.first_seen_at IS 'When it was seen first.';
COMMENT ON COLUMN usage.drift.last_seen_at IS 'When it was seen last, to an hour or so.';
