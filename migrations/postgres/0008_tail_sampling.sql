-- Tail sampling: what is known of traces that are not judged yet, who judges, and the verdicts.

-- A row per group of spans, written in the transaction that stores them and deleted when all of its traces are judged or
-- are in a row that carries them on.
CREATE TABLE trace_facts (
    facts_id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Unix milliseconds, by the clock of the database.
    arrived_ms BIGINT NOT NULL,
    -- The oldest row that this one carries traces of; 0 for a row of spans.
    origin_id  BIGINT NOT NULL,
    traces     BIGINT NOT NULL,
    data       BYTEA  NOT NULL
);

-- Already compressed: the database need not try again.
ALTER TABLE trace_facts ALTER COLUMN data SET STORAGE EXTERNAL;

-- One row: the collector that judges, until when, and what its rules have counted.
CREATE TABLE trace_judge (
    judge_id BIGINT PRIMARY KEY CHECK (judge_id = 1),
    holder   BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    state    BYTEA  NOT NULL
);

-- Verdicts on traces, by the minute of the slice in which a trace began. Partitions are made by the collector.
CREATE TABLE verdict_block (
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

CREATE INDEX verdict_block_to_merge ON verdict_block (shard) WHERE level < 2;
ALTER TABLE verdict_block ALTER COLUMN summary SET STORAGE EXTERNAL;
ALTER TABLE verdict_block ALTER COLUMN data SET STORAGE EXTERNAL;

-- The row of `trace_facts` with the traces of this block; 0 when they need no verdict.
ALTER TABLE export_queue ADD COLUMN facts_id BIGINT NOT NULL DEFAULT 0;
