-- Spans that wait to be sent to another backend: a copy of each block of spans per exporter, written in the transaction
-- that stores the block and deleted when the backend has it.
CREATE TABLE export_queue (
    queue_id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- `otlp` or `zipkin`.
    exporter        TEXT   NOT NULL,
    -- Unix milliseconds.
    queued_at_ms    BIGINT NOT NULL,
    -- A collector that sends the block holds it until then.
    leased_until_ms BIGINT NOT NULL DEFAULT 0,
    holder          BIGINT NOT NULL DEFAULT 0,
    -- Spans, and bytes of the data.
    items           BIGINT NOT NULL,
    bytes           BIGINT NOT NULL,
    data            BYTEA  NOT NULL
);

-- Already compressed: the database need not try again.
ALTER TABLE export_queue ALTER COLUMN data SET STORAGE EXTERNAL;
