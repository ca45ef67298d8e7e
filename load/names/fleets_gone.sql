-- Fleets that the API does not list any more. They keep their last name.
UPDATE simusage.fleet f SET gone_at = $2
WHERE f.account_id = $1 AND f.gone_at IS NULL AND NOT EXISTS (SELECT FROM {fleets} n WHERE n.sid = f.sid)
