-- Spans, logs and samples at rest are blocks: many items in one compressed row. Partitions are made by the collector.
CREATE SEQUENCE block_id_seq;

CREATE TABLE span_block (
    block_id BIGINT NOT NULL DEFAULT nextval('block_id_seq'),
    -- Start of the slice, in Unix seconds.
    slice_s BIGINT NOT NULL,
    -- Spreads the blocks over the machines of a cluster.
    shard BIGINT NOT NULL,
    -- 0 as written, 1 merged and still small, 2 dense, 9 cannot be read.
    level BIGINT NOT NULL,
    -- Smallest and largest start, in Unix microseconds.
    from_us BIGINT NOT NULL,
    to_us BIGINT NOT NULL,
    items BIGINT NOT NULL,
    -- What a search tells by that it need not read `data`.
    summary BYTEA NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (slice_s, shard, block_id)
) PARTITION BY RANGE (slice_s);

CREATE INDEX span_block_to_merge ON span_block (shard) WHERE level < 2;
-- Compressed already.
ALTER TABLE span_block ALTER COLUMN summary SET STORAGE EXTERNAL;
ALTER TABLE span_block ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE log_block (
    block_id BIGINT NOT NULL DEFAULT nextval('block_id_seq'),
    slice_s BIGINT NOT NULL,
    shard BIGINT NOT NULL,
    level BIGINT NOT NULL,
    from_us BIGINT NOT NULL,
    to_us BIGINT NOT NULL,
    items BIGINT NOT NULL,
    summary BYTEA NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (slice_s, shard, block_id)
) PARTITION BY RANGE (slice_s);

CREATE INDEX log_block_to_merge ON log_block (shard) WHERE level < 2;
ALTER TABLE log_block ALTER COLUMN summary SET STORAGE EXTERNAL;
ALTER TABLE log_block ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE sample_block (
    block_id BIGINT NOT NULL DEFAULT nextval('block_id_seq'),
    slice_s BIGINT NOT NULL,
    shard BIGINT NOT NULL,
    level BIGINT NOT NULL,
    from_us BIGINT NOT NULL,
    to_us BIGINT NOT NULL,
    items BIGINT NOT NULL,
    summary BYTEA NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (slice_s, shard, block_id)
) PARTITION BY RANGE (slice_s);

CREATE INDEX sample_block_to_merge ON sample_block (shard) WHERE level < 2;
ALTER TABLE sample_block ALTER COLUMN summary SET STORAGE EXTERNAL;
ALTER TABLE sample_block ALTER COLUMN data SET STORAGE EXTERNAL;

-- Requests that were stored a short while ago, so that a retry is stored once.
CREATE TABLE delivery (
    -- Of the door and the decoded body.
    delivery_id BYTEA PRIMARY KEY,
    at_ms BIGINT NOT NULL
);

-- What an edge was counted from: empty for metrics, `logs` or `spans`.
ALTER TABLE edge ADD COLUMN telemetry TEXT NOT NULL DEFAULT '';
