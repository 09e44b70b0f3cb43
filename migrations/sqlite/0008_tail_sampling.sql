-- Tail sampling: what is known of traces that are not judged yet, and who judges. The verdicts are blocks (`verdict_block`),
-- whose slices the collector makes.

-- A row per group of spans, written in the transaction that stores them and deleted when all of its traces are judged or
-- are in a row that carries them on.
CREATE TABLE trace_facts (
    facts_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Unix milliseconds, by the clock of the database.
    arrived_ms INTEGER NOT NULL,
    -- The oldest row that this one carries traces of; 0 for a row of spans.
    origin_id  INTEGER NOT NULL,
    traces     INTEGER NOT NULL,
    data       BLOB    NOT NULL
);

-- One row: the collector that judges, until when, and what its rules have counted.
CREATE TABLE trace_judge (
    judge_id INTEGER PRIMARY KEY CHECK (judge_id = 1),
    holder   INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    state    BLOB    NOT NULL
);

-- The row of `trace_facts` with the traces of this block; 0 when they need no verdict.
ALTER TABLE export_queue ADD COLUMN facts_id INTEGER NOT NULL DEFAULT 0;
