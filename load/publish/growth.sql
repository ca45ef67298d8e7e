-- By how many rows and bytes the slice would grow: less than nothing where it shrinks.
SELECT coalesce(sum(is_there::int - was_there::int), 0), coalesce(sum(coalesce(new_total, 0) - coalesce(old_total, 0)), 0)::bigint
FROM change
