-- What the program did, run by run.
CREATE OR REPLACE VIEW usage.runs AS
SELECT id AS run, command, arguments, host, pid, version, started_at, finished_at,
    CASE
        WHEN finished_at IS NOT NULL THEN outcome
        WHEN seen_at > clock_timestamp() - interval '5 minutes' THEN 'running'
        ELSE 'killed'
    END AS outcome,
    exit_code, error, slices, unchanged, failed, left_due, pages, rows, rows_inserted, rows_updated, rows_deleted, rejected, requests, retries, throttled,
    statuses, waited AS waited_seconds, phases AS phase_seconds
FROM simusage.run;

COMMENT ON VIEW usage.runs IS 'What the program did. One row for each run.';
COMMENT ON COLUMN usage.runs.run IS 'Number of the run.';
COMMENT ON COLUMN usage.runs.command IS 'sync, backfill, …';
COMMENT ON COLUMN usage.runs.arguments IS 'The flags of the command.';
COMMENT ON COLUMN usage.runs.host IS 'Where it ran: the host or pod.';
COMMENT ON COLUMN usage.runs.pid IS 'Its process id there.';
COMMENT ON COLUMN usage.runs.version IS 'Version of the program.';
COMMENT ON COLUMN usage.runs.started_at IS 'When it began.';
COMMENT ON COLUMN usage.runs.finished_at IS 'When it ended; NULL while it runs, and when it was killed.';
COMMENT ON COLUMN usage.runs.outcome IS 'done, partly, failed, stopped, refused; running; killed: no sign of life for five minutes.';
COMMENT ON COLUMN usage.runs.exit_code IS '0 done, 1 failed, 2 refused (configuration), 3 partly, 75 stopped with progress kept.';
COMMENT ON COLUMN usage.runs.error IS 'What went wrong, in a line.';
COMMENT ON COLUMN usage.runs.slices IS 'Slices published.';
COMMENT ON COLUMN usage.runs.unchanged IS 'Of these, slices that said what they had said before.';
COMMENT ON COLUMN usage.runs.failed IS 'Slices that failed.';
COMMENT ON COLUMN usage.runs.left_due IS 'Slices that were still due when it ended.';
COMMENT ON COLUMN usage.runs.pages IS 'Pages loaded.';
COMMENT ON COLUMN usage.runs.rows IS 'Records loaded.';
COMMENT ON COLUMN usage.runs.rows_inserted IS 'Fact rows that are new.';
COMMENT ON COLUMN usage.runs.rows_updated IS 'Fact rows that changed.';
COMMENT ON COLUMN usage.runs.rows_deleted IS 'Fact rows that the API does not have any more.';
COMMENT ON COLUMN usage.runs.rejected IS 'Records that could not be understood and were set aside.';
COMMENT ON COLUMN usage.runs.requests IS 'Requests sent to the API.';
COMMENT ON COLUMN usage.runs.retries IS 'Of these, requests that were sent again.';
COMMENT ON COLUMN usage.runs.throttled IS 'Answers 429.';
COMMENT ON COLUMN usage.runs.statuses IS 'How often the API answered with which HTTP status, as JSON.';
COMMENT ON COLUMN usage.runs.waited_seconds IS 'Seconds that requests waited, all together: for a place among those in flight, for the rate, between attempts.';
COMMENT ON COLUMN usage.runs.phase_seconds IS 'Seconds of each phase, as JSON: walk, months, names.';
