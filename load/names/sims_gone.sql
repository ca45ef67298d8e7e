-- SIMs that the API does not list any more. They keep their last name.
UPDATE simusage.sim s SET gone_at = $2
WHERE s.account_id = $1 AND s.gone_at IS NULL AND NOT EXISTS (SELECT FROM {sims} n WHERE n.sid = s.sid)
