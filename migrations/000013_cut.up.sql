-- Lists that ask for a part of what their walk asks for (load/cut.go says how).

ALTER TABLE simusage.list
    ADD COLUMN ask_from  timestamptz,
    ADD COLUMN ask_until timestamptz,
    DROP CONSTRAINT list_slice_id_value_key,
    ADD UNIQUE (slice_id, value, ask_from);
COMMENT ON COLUMN simusage.list.ask_from IS 'What the list asks for, until ask_until: all that the walk asks for, or a piece. NULL: all, written by a program that cuts nothing.';
COMMENT ON TABLE simusage.list IS 'The lists of an open walk and their cursors (next_page_url): moved in the transaction that stages the page. A fan-out has a list for each value, found by list 0; a large slice has several, one for each piece of its time.';
COMMENT ON COLUMN simusage.slice.alone IS 'To be walked without its neighbours, and whole: a walk of several slices with this one among them, or one that was cut, could not be finished. Until it is published.';
