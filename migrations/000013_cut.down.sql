-- Walks that are cut go: a value has one list only from now on.
UPDATE simusage.slice SET fence = fence + 1, walk_started_at = NULL, ask_from = NULL, ask_until = NULL, leased_by = NULL, lease_expires_at = NULL
WHERE id IN (SELECT slice_id FROM simusage.list GROUP BY slice_id, value HAVING count(*) > 1);
DO $$
DECLARE stage text;
BEGIN
    FOR stage IN SELECT DISTINCT 'stage_' || slice_id FROM simusage.list GROUP BY slice_id, value HAVING count(*) > 1 LOOP
        EXECUTE format('DROP TABLE IF EXISTS simusage.%I', stage);
    END LOOP;
END
$$;
DELETE FROM simusage.list WHERE slice_id IN (SELECT slice_id FROM simusage.list GROUP BY slice_id, value HAVING count(*) > 1);
ALTER TABLE simusage.list
    DROP CONSTRAINT list_slice_id_value_ask_from_key,
    DROP COLUMN ask_from,
    DROP COLUMN ask_until,
    ADD UNIQUE (slice_id, value);
COMMENT ON TABLE simusage.list IS 'The lists of an open walk and their cursors (next_page_url): moved in the transaction that stages the page. A fan-out has a list for each value, found by list 0.';
COMMENT ON COLUMN simusage.slice.alone IS 'To be walked without its neighbours: a walk of several slices with this one among them could not be finished. Until it is published.';
