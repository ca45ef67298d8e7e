-- Where the lists are read into, page by page: tables of this one reading, so that a process that was overtaken finds
-- none. Unlogged: a crash of Postgres empties them, and the names are read again.
DROP TABLE IF EXISTS {sims_before}, {fleets_before}, {networks_before};
CREATE UNLOGGED TABLE {sims} (LIKE simusage.sim, PRIMARY KEY (sid));
CREATE UNLOGGED TABLE {fleets} (LIKE simusage.fleet, PRIMARY KEY (sid));
CREATE UNLOGGED TABLE {networks} (LIKE simusage.network, PRIMARY KEY (sid));
