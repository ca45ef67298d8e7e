-- The networks of mobile operators.
CREATE OR REPLACE VIEW usage.network AS
SELECT network.sid AS network_sid, network.name AS network_name, network.iso_country, country.name AS country_name, network.identifiers
FROM simusage.network
LEFT JOIN simusage.country ON country.iso_country = network.iso_country;

COMMENT ON VIEW usage.network IS 'Networks of mobile operators. One row for each network; they belong to no account.';
COMMENT ON COLUMN usage.network.network_sid IS 'SID of the network (HW…).';
COMMENT ON COLUMN usage.network.network_name IS 'Its name.';
COMMENT ON COLUMN usage.network.iso_country IS 'ISO 3166 alpha-2 code of its country.';
COMMENT ON COLUMN usage.network.country_name IS 'English name of its country.';
COMMENT ON COLUMN usage.network.identifiers IS 'Its MCC and MNC pairs, as text because leading zeros count.';
