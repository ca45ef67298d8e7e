-- The role for readers: schema usage and nothing else. Roles belong to the whole server; where the program may not make
-- one, an administrator does (CREATE ROLE usage_reader), and the next migrate gives it its rights.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'usage_reader') THEN
        CREATE ROLE usage_reader NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was faster
    WHEN insufficient_privilege THEN RAISE WARNING 'role usage_reader does not exist and may not be made here: ask an administrator for CREATE ROLE usage_reader, then run migrate again';
END
$$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'usage_reader') THEN
        GRANT USAGE ON SCHEMA usage TO usage_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA usage TO usage_reader;
        ALTER DEFAULT PRIVILEGES IN SCHEMA usage GRANT SELECT ON TABLES TO usage_reader;
    END IF;
END
$$;
