-- Walks that cover several slices (load/span.go says how).

ALTER TABLE simusage.slice
    ADD COLUMN walk_leader bigint,
    ADD COLUMN alone       boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN simusage.slice.walk_leader IS 'The slice whose open walk covers this one too. It says where to go on after a crash, and gives no right to anything: fences do.';
COMMENT ON COLUMN simusage.slice.alone IS 'To be walked without its neighbours: a walk of several slices with this one among them could not be finished. Until it is published.';
COMMENT ON COLUMN simusage.slice.ask_from IS 'What the open walk asks for, until ask_until: of this slice, or of all slices that the walk covers.';
COMMENT ON COLUMN simusage.list.digest IS 'Sums of the hashes of the rows, 16 bytes for each slice of the calendar that the walk asks for, in order of time.';
