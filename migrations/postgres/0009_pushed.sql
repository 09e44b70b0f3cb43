-- Counters that are pushed: what is remembered of each, written together with what it added to the rollups or to a series.
CREATE TABLE pushed_state (
    target_id BIGINT NOT NULL,
    -- Of the labels of the counters that lie together; all zeros for what is known of the target itself.
    state_key BYTEA NOT NULL,
    -- When it was last written, in Unix milliseconds; goes some days after.
    at_ms BIGINT NOT NULL,
    state BYTEA NOT NULL,
    PRIMARY KEY (target_id, state_key)
);

CREATE INDEX pushed_state_by_age ON pushed_state (at_ms);

-- What targets say of their metrics: each text once, however many say it.
CREATE TABLE metric_metadata (
    -- Of all four texts.
    metadata_hash BYTEA PRIMARY KEY,
    metric TEXT NOT NULL,
    kind TEXT NOT NULL,
    help TEXT NOT NULL,
    unit TEXT NOT NULL,
    -- When it was last told, within a few hours, in Unix seconds.
    heard_s BIGINT NOT NULL
);

-- Exemplars: which request a sample is an example of. Kept as long as samples, the newest of them.
CREATE TABLE exemplar (
    series_id BIGINT NOT NULL,
    t_ms BIGINT NOT NULL,
    -- A JSON object.
    labels TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (series_id, t_ms, labels)
);

CREATE INDEX exemplar_by_time ON exemplar (t_ms);
