-- What was noted by a clock that ran ahead ($3 is later than any clock that is right) lies in the future. A chapter that begins
-- there is left out, and begun anew by this reading; what ended there ends now.
DELETE FROM simusage.sim_history WHERE account_id = $1 AND valid_from > $3;
UPDATE simusage.sim_history SET valid_to = $2 WHERE account_id = $1 AND valid_to > $3 AND valid_to < 'infinity';
UPDATE simusage.sim SET gone_at = $2 WHERE account_id = $1 AND gone_at > $3;
UPDATE simusage.fleet SET gone_at = $2 WHERE account_id = $1 AND gone_at > $3;
