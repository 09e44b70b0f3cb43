-- What the collector keeps of the mesh's traffic. Times in `_ms` are Unix milliseconds, `t` is the start of a step in Unix seconds.

-- One row: when this store came into being. A process that is younger and was never scraped counts from zero.
CREATE TABLE store_info (
    store_id BIGINT PRIMARY KEY CHECK (store_id = 1),
    created_at_ms BIGINT NOT NULL
);

-- Upper bounds of histograms, ascending, joined by commas, without +Inf. Columns b00, b01, … of the rollups follow them.
CREATE TABLE layout (
    layout_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bounds TEXT NOT NULL UNIQUE
);

-- One row per label set of Istio's standard metrics and layout of its histogram. An absent label is empty.
CREATE TABLE edge (
    edge_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Of all labels and the bounds; the labels themselves would make an index as large as the table.
    edge_hash BYTEA NOT NULL UNIQUE,
    layout_id BIGINT NOT NULL REFERENCES layout (layout_id),
    created_at_ms BIGINT NOT NULL,
    reporter TEXT NOT NULL,
    source_workload TEXT NOT NULL,
    source_canonical_service TEXT NOT NULL,
    source_canonical_revision TEXT NOT NULL,
    source_workload_namespace TEXT NOT NULL,
    source_principal TEXT NOT NULL,
    source_app TEXT NOT NULL,
    source_version TEXT NOT NULL,
    source_cluster TEXT NOT NULL,
    destination_workload TEXT NOT NULL,
    destination_workload_namespace TEXT NOT NULL,
    destination_principal TEXT NOT NULL,
    destination_app TEXT NOT NULL,
    destination_version TEXT NOT NULL,
    destination_service TEXT NOT NULL,
    destination_canonical_service TEXT NOT NULL,
    destination_canonical_revision TEXT NOT NULL,
    destination_service_name TEXT NOT NULL,
    destination_service_namespace TEXT NOT NULL,
    destination_cluster TEXT NOT NULL,
    request_protocol TEXT NOT NULL,
    response_code TEXT NOT NULL,
    grpc_response_status TEXT NOT NULL,
    response_flags TEXT NOT NULL,
    connection_security_policy TEXT NOT NULL
);

-- Whoever is scraped. `version` grows with each batch, so that two collectors never count one scrape twice.
CREATE TABLE target (
    target_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_key TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    version BIGINT NOT NULL,
    scraped_at_ms BIGINT NOT NULL,
    -- Of the process, as it told at the last scrape; null when it does not tell.
    uptime_s DOUBLE PRECISION,
    started_at_s DOUBLE PRECISION
);

-- The counters as the last stored scrape saw them, written together with the rollups.
CREATE TABLE series (
    target_id BIGINT NOT NULL,
    edge_id BIGINT NOT NULL,
    counters BYTEA NOT NULL,
    PRIMARY KEY (target_id, edge_id)
);

-- `outcome` is received, stored, bytes or refused:<reason>.
CREATE TABLE ingest_count (
    door TEXT NOT NULL,
    signal TEXT NOT NULL,
    outcome TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (door, signal, outcome)
);

-- Time slices that exist: `family` is rollup_10s, rollup_1m, rollup_1h or span; bounds in Unix seconds.
CREATE TABLE slice (
    family TEXT NOT NULL,
    from_s BIGINT NOT NULL,
    to_s BIGINT NOT NULL,
    PRIMARY KEY (family, from_s)
);

-- Steps before `before_s` were dropped from the family; coarser families may still have them.
CREATE TABLE dropped (
    family TEXT PRIMARY KEY,
    before_s BIGINT NOT NULL
);

CREATE TABLE service (
    service_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- End of the newest slice that has a span of it; goes with the last slice.
    kept_until_s BIGINT NOT NULL
);

CREATE TABLE operation (
    operation_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    kept_until_s BIGINT NOT NULL,
    UNIQUE (service_id, name)
);

INSERT INTO store_info VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint);

-- Per step and edge; a column without traffic is null, which costs one bit. Partitions are made by the collector.
CREATE TABLE rollup_10s (
    t BIGINT NOT NULL,
    edge_id BIGINT NOT NULL,
    requests BIGINT,
    duration_sum DOUBLE PRECISION,
    request_bytes DOUBLE PRECISION,
    response_bytes DOUBLE PRECISION,
    request_messages BIGINT,
    response_messages BIGINT,
    tcp_sent_bytes BIGINT,
    tcp_received_bytes BIGINT,
    tcp_opened BIGINT,
    tcp_closed BIGINT,
    b00 BIGINT,
    b01 BIGINT,
    b02 BIGINT,
    b03 BIGINT,
    b04 BIGINT,
    b05 BIGINT,
    b06 BIGINT,
    b07 BIGINT,
    b08 BIGINT,
    b09 BIGINT,
    b10 BIGINT,
    b11 BIGINT,
    b12 BIGINT,
    b13 BIGINT,
    b14 BIGINT,
    b15 BIGINT,
    b16 BIGINT,
    b17 BIGINT,
    b18 BIGINT,
    b19 BIGINT,
    b20 BIGINT,
    b21 BIGINT,
    b22 BIGINT,
    b23 BIGINT,
    PRIMARY KEY (t, edge_id)
) PARTITION BY RANGE (t);

CREATE TABLE rollup_1m (
    t BIGINT NOT NULL,
    edge_id BIGINT NOT NULL,
    requests BIGINT,
    duration_sum DOUBLE PRECISION,
    request_bytes DOUBLE PRECISION,
    response_bytes DOUBLE PRECISION,
    request_messages BIGINT,
    response_messages BIGINT,
    tcp_sent_bytes BIGINT,
    tcp_received_bytes BIGINT,
    tcp_opened BIGINT,
    tcp_closed BIGINT,
    b00 BIGINT,
    b01 BIGINT,
    b02 BIGINT,
    b03 BIGINT,
    b04 BIGINT,
    b05 BIGINT,
    b06 BIGINT,
    b07 BIGINT,
    b08 BIGINT,
    b09 BIGINT,
    b10 BIGINT,
    b11 BIGINT,
    b12 BIGINT,
    b13 BIGINT,
    b14 BIGINT,
    b15 BIGINT,
    b16 BIGINT,
    b17 BIGINT,
    b18 BIGINT,
    b19 BIGINT,
    b20 BIGINT,
    b21 BIGINT,
    b22 BIGINT,
    b23 BIGINT,
    PRIMARY KEY (t, edge_id)
) PARTITION BY RANGE (t);

CREATE TABLE rollup_1h (
    t BIGINT NOT NULL,
    edge_id BIGINT NOT NULL,
    requests BIGINT,
    duration_sum DOUBLE PRECISION,
    request_bytes DOUBLE PRECISION,
    response_bytes DOUBLE PRECISION,
    request_messages BIGINT,
    response_messages BIGINT,
    tcp_sent_bytes BIGINT,
    tcp_received_bytes BIGINT,
    tcp_opened BIGINT,
    tcp_closed BIGINT,
    b00 BIGINT,
    b01 BIGINT,
    b02 BIGINT,
    b03 BIGINT,
    b04 BIGINT,
    b05 BIGINT,
    b06 BIGINT,
    b07 BIGINT,
    b08 BIGINT,
    b09 BIGINT,
    b10 BIGINT,
    b11 BIGINT,
    b12 BIGINT,
    b13 BIGINT,
    b14 BIGINT,
    b15 BIGINT,
    b16 BIGINT,
    b17 BIGINT,
    b18 BIGINT,
    b19 BIGINT,
    b20 BIGINT,
    b21 BIGINT,
    b22 BIGINT,
    b23 BIGINT,
    PRIMARY KEY (t, edge_id)
) PARTITION BY RANGE (t);

-- `kind` is the SpanKind of OTLP (0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer); 8 is added for the shared half of a span.
CREATE TABLE span (
    trace_id BYTEA NOT NULL,
    span_id BYTEA NOT NULL,
    kind BIGINT NOT NULL,
    service_id BIGINT NOT NULL,
    start_us BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    operation_id BIGINT NOT NULL,
    is_error BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (trace_id, span_id, kind, service_id, start_us)
) PARTITION BY RANGE (start_us);

CREATE INDEX span_by_service ON span (service_id, start_us);
