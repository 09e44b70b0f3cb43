-- Spans that wait to be sent to another backend: a copy of each block of spans per exporter, written in the transaction
-- that stores the block and deleted when the backend has it.
CREATE TABLE export_queue (
    queue_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    -- `otlp` or `zipkin`.
    exporter        TEXT    NOT NULL,
    -- Unix milliseconds.
    queued_at_ms    INTEGER NOT NULL,
    -- A collector that sends the block holds it until then.
    leased_until_ms INTEGER NOT NULL DEFAULT 0,
    holder          INTEGER NOT NULL DEFAULT 0,
    -- Spans, and bytes of the data.
    items           INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    data            BLOB    NOT NULL
);
