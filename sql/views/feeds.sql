-- Which stream each family of views reads, and for which time.
CREATE OR REPLACE VIEW usage.feeds AS
SELECT account.sid AS account_sid, account.name AS account, feed.family, feed.grain, stream.name AS stream, feed.valid_from, feed.valid_to
FROM simusage.feed
JOIN simusage.account ON account.id = feed.account_id
JOIN simusage.stream ON stream.id = feed.stream_id;

COMMENT ON VIEW usage.feeds IS 'Which one stream each family of views reads: nothing is counted twice. One row for each account, family, grain and range of time; a second range appears when the configured streams change.';
COMMENT ON COLUMN usage.feeds.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.feeds.account IS 'Name of the account in the configuration; empty when there is just one.';
COMMENT ON COLUMN usage.feeds.family IS 'total, country, sim, sim_country, fleet, network: the views family_hourly, family_daily, family_monthly.';
COMMENT ON COLUMN usage.feeds.grain IS 'hour, day or month: which view of the family.';
COMMENT ON COLUMN usage.feeds.stream IS 'The stream that is read.';
COMMENT ON COLUMN usage.feeds.valid_from IS 'From this time on; -infinity: from the beginning.';
COMMENT ON COLUMN usage.feeds.valid_to IS 'Until before this time; infinity: until further notice.';
