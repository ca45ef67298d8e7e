-- Which months each family of monthly views shows, and from which stream; rollup_id is their rollup, NULL while it does not
-- know the last publish of every slice. OFFSET keeps the planner from reading facts before it knows which.
CREATE OR REPLACE VIEW simusage.source_month AS
SELECT feed.family, account.id AS account_id, account.sid AS account_sid, account.billed_unit_id, feed.stream_id,
    month.month, month.settled, CASE WHEN month.rolled_up THEN rollup.id END AS rollup_id
FROM simusage.feed
JOIN simusage.account ON account.id = feed.account_id
JOIN simusage.settled_month month ON month.stream_id = feed.stream_id
    AND month.month >= (feed.valid_from AT TIME ZONE 'UTC')::date AND month.month < (feed.valid_to AT TIME ZONE 'UTC')::date
LEFT JOIN simusage.stream rollup ON rollup.rollup_of = feed.stream_id AND rollup.rollup_family = feed.family
WHERE feed.grain = 'month'
OFFSET 0;
