-- Walks that are open go: a program that knows no spans would begin them anew, and leave their stages behind.
DELETE FROM simusage.list WHERE slice_id IN (SELECT walk_leader FROM simusage.slice);
UPDATE simusage.slice SET fence = fence + 1, walk_started_at = NULL, ask_from = NULL, ask_until = NULL, leased_by = NULL, lease_expires_at = NULL
WHERE walk_leader IS NOT NULL OR id IN (SELECT walk_leader FROM simusage.slice);
DO $$
DECLARE stage text;
BEGIN
    FOR stage IN SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '^stage_[0-9]+_span$' LOOP
        EXECUTE format('DROP TABLE simusage.%I', stage);
    END LOOP;
END
$$;
COMMENT ON COLUMN simusage.list.digest IS NULL;
COMMENT ON COLUMN simusage.slice.ask_from IS NULL;
ALTER TABLE simusage.slice DROP COLUMN alone, DROP COLUMN walk_leader;
