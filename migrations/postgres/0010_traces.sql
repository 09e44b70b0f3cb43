-- Kinds of an operation's spans: bit n for OTLP's kind n. 0 for what was written before this was kept.
ALTER TABLE operation ADD COLUMN kinds BIGINT NOT NULL DEFAULT 0;

-- Services at the other end of a service's spans, as those name them.
CREATE TABLE remote_service (
    service_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    kept_until_s BIGINT NOT NULL,
    PRIMARY KEY (service_id, name)
);

-- Calls between services by step of five minutes, counted from spans as they come in. They are few beside the spans, and go
-- row by row with the spans' retention.
CREATE TABLE service_link (
    t_s BIGINT NOT NULL,
    parent TEXT NOT NULL,
    child TEXT NOT NULL,
    calls BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    PRIMARY KEY (t_s, parent, child)
);

-- Traces that somebody wants to keep beyond the retention; each in blocks as of `span_block`.
CREATE TABLE archived_trace (
    trace_id BYTEA NOT NULL,
    part BIGINT NOT NULL,
    archived_at_ms BIGINT NOT NULL,
    spans BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (trace_id, part)
);
