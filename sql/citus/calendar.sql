-- Which days and months there are. Citus does not carry a condition on a view into what the view sums: it would sum all days of
-- all years, and then take those that were asked for. But Postgres carries it to the tables, and of a table that is not
-- distributed Citus sends the workers just the rows that fulfil it. So the days are read from here: the workers get those that
-- were asked for, and look up nothing else.
CREATE TABLE IF NOT EXISTS simusage.calendar_day (day date PRIMARY KEY);
CREATE TABLE IF NOT EXISTS simusage.calendar_month (month date PRIMARY KEY);
COMMENT ON TABLE simusage.calendar_day IS 'All days, on Citus only: what is asked of the views by day is asked of these first.';
COMMENT ON TABLE simusage.calendar_month IS 'All months, on Citus only.';
INSERT INTO simusage.calendar_day SELECT generate_series('2018-01-01'::date, '2099-12-31', '1 day')::date ON CONFLICT DO NOTHING;
INSERT INTO simusage.calendar_month SELECT generate_series('2018-01-01'::date, '2099-12-01', '1 month')::date ON CONFLICT DO NOTHING;
ANALYZE simusage.calendar_day, simusage.calendar_month;
