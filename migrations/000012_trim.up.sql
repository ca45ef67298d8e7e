-- Days whose hours were dropped, because only their sums are to be kept (load/trim.go).
ALTER TABLE simusage.slice ADD COLUMN trimmed_at timestamptz;
COMMENT ON COLUMN simusage.slice.trimmed_at IS 'When the hours of this slice were dropped. Its day stays, and it is never due again: there is nothing left that a new answer could be held against.';
