-- How the API's answers differ from what is known of them, and which list a record that was set aside came from.

CREATE TABLE simusage.drift (
    account_id    smallint    NOT NULL REFERENCES simusage.account,
    resource      text        NOT NULL,
    field         text        NOT NULL,
    kind          text        NOT NULL CHECK (kind IN ('new', 'missing')),
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, resource, field, kind)
);
COMMENT ON TABLE simusage.drift IS 'Fields of the API''s answers that are new, or missing from a whole page: at most 100 an account, each told once.';
COMMENT ON COLUMN simusage.drift.last_seen_at IS 'Accurate to an hour or so: not every page writes it.';

ALTER TABLE simusage.rejected ADD COLUMN list_value text NOT NULL DEFAULT '';
COMMENT ON COLUMN simusage.rejected.list_value IS 'Value of the fan-out that was asked for: the list itself is gone when its slice is published. Empty for a list without one.';
