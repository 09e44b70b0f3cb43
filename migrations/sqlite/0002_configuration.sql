-- Configuration objects: every save, deletion and roll back is one row, and no row is ever changed.
CREATE TABLE config_revision (
    config_revision_id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind               TEXT    NOT NULL,
    namespace          TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    -- Counts from 1 per object and goes on after a deletion.
    revision           INTEGER NOT NULL CHECK (revision > 0),
    action             TEXT    NOT NULL CHECK (action IN ('created', 'configured', 'deleted', 'rolledback')),
    -- As its author wrote it; empty for a deletion.
    yaml               TEXT    NOT NULL,
    author             TEXT    NOT NULL,
    message            TEXT    NOT NULL,
    -- Unix milliseconds.
    created_at_ms      INTEGER NOT NULL,
    -- When the object came to be, anew after a deletion: the oldest object wins where two claim one host.
    object_since_ms    INTEGER NOT NULL,
    rolled_back_to     INTEGER,
    UNIQUE (kind, namespace, name, revision)
);

CREATE INDEX config_revision_by_time ON config_revision (created_at_ms);

CREATE VIEW config_head AS
SELECT r.*
FROM config_revision r
WHERE r.revision = (
    SELECT MAX(n.revision)
    FROM config_revision n
    WHERE n.kind = r.kind AND n.namespace = r.namespace AND n.name = r.name
);

CREATE TRIGGER config_revision_keeps_rows BEFORE UPDATE ON config_revision
BEGIN
    SELECT RAISE(ABORT, 'config_revision is append-only');
END;

CREATE TRIGGER config_revision_loses_no_rows BEFORE DELETE ON config_revision
BEGIN
    SELECT RAISE(ABORT, 'config_revision is append-only');
END;
