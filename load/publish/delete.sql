-- Rows that the API says otherwise now, or does not have any more. The others are never touched.
DELETE FROM {facts} f USING change c
WHERE c.was_there
    AND f.stream_id = $1 AND f.period_start >= $2 AND f.period_start < $3
    AND f.period_start = c.period_start AND f.series_id = c.series_id
