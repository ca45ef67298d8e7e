DROP INDEX simusage.slice_open;
