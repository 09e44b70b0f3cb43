-- Spans, logs and samples at rest are blocks: many items in one compressed row. Like rollups they have no table here:
-- each slice of `span_block`, `log_block` and `sample_block` is one, made from the template in collector/src/store/schema.rs.

-- Requests that were stored a short while ago, so that a retry is stored once.
CREATE TABLE delivery (
    -- Of the door and the decoded body.
    delivery_id BLOB PRIMARY KEY,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- What an edge was counted from: empty for metrics, `logs` or `spans`.
ALTER TABLE edge ADD COLUMN telemetry TEXT NOT NULL DEFAULT '';
