ALTER TABLE simusage.rejected DROP COLUMN list_value;
DROP TABLE simusage.drift;
