-- Accounts that another one follows: somebody moves to another vendor, which gives the account another SID.
ALTER TABLE simusage.account ADD COLUMN ends_at timestamptz;
COMMENT ON COLUMN simusage.account.ends_at IS 'Nothing from this time on is asked for (SIMUSAGE_TO): when all before it is there, nothing more is awaited. NULL: until further notice.';
