ALTER TABLE simusage.run DROP COLUMN phases, DROP COLUMN waited, DROP COLUMN statuses;
