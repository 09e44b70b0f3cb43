-- Configuration objects: every save, deletion and roll back is one row, and no row is ever changed.
CREATE TABLE config_revision (
    config_revision_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind               TEXT   NOT NULL,
    namespace          TEXT   NOT NULL,
    name               TEXT   NOT NULL,
    -- Counts from 1 per object and goes on after a deletion.
    revision           BIGINT NOT NULL CHECK (revision > 0),
    action             TEXT   NOT NULL CHECK (action IN ('created', 'configured', 'deleted', 'rolledback')),
    -- As its author wrote it; empty for a deletion.
    yaml               TEXT   NOT NULL,
    author             TEXT   NOT NULL,
    message            TEXT   NOT NULL,
    -- Unix milliseconds.
    created_at_ms      BIGINT NOT NULL,
    -- When the object came to be, anew after a deletion: the oldest object wins where two claim one host.
    object_since_ms    BIGINT NOT NULL,
    rolled_back_to     BIGINT,
    UNIQUE (kind, namespace, name, revision)
);

CREATE INDEX config_revision_by_time ON config_revision (created_at_ms);

CREATE VIEW config_head AS
SELECT DISTINCT ON (kind, namespace, name) *
FROM config_revision
ORDER BY kind, namespace, name, revision DESC;

CREATE FUNCTION config_revision_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'config_revision is append-only';
END;
$$;

CREATE TRIGGER config_revision_keeps_rows BEFORE UPDATE OR DELETE ON config_revision
FOR EACH ROW EXECUTE FUNCTION config_revision_is_append_only();
