DROP TABLE simusage.network;
DROP TABLE simusage.fleet;
DROP TABLE simusage.sim_history;
DROP TABLE simusage.sim;
ALTER TABLE simusage.account DROP COLUMN names_at, DROP COLUMN names_fence, DROP COLUMN names_claimed_until;
