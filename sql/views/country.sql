-- Names of countries.
CREATE OR REPLACE VIEW usage.country AS
SELECT iso_country, name AS country_name
FROM simusage.country;

COMMENT ON VIEW usage.country IS 'Countries. One row for each.';
COMMENT ON COLUMN usage.country.iso_country IS 'ISO 3166 alpha-2 code.';
COMMENT ON COLUMN usage.country.country_name IS 'English name.';
