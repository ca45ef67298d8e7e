DROP INDEX simusage.slice_checked, simusage.slice_walk, simusage.slice_news;
ALTER TABLE simusage.slice DROP COLUMN compared_for;
