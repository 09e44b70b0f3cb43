-- What the collector keeps of the mesh's traffic. Times in `_ms` are Unix milliseconds, `t` is the start of a step in Unix seconds.

-- One row: when this store came into being. A process that is younger and was never scraped counts from zero.
CREATE TABLE store_info (
    store_id INTEGER PRIMARY KEY CHECK (store_id = 1),
    created_at_ms INTEGER NOT NULL
);

-- Upper bounds of histograms, ascending, joined by commas, without +Inf. Columns b00, b01, … of the rollups follow them.
CREATE TABLE layout (
    layout_id INTEGER PRIMARY KEY,
    bounds TEXT NOT NULL UNIQUE
);

-- One row per label set of Istio's standard metrics and layout of its histogram. An absent label is empty.
CREATE TABLE edge (
    edge_id INTEGER PRIMARY KEY,
    -- Of all labels and the bounds; the labels themselves would make an index as large as the table.
    edge_hash BLOB NOT NULL UNIQUE,
    layout_id INTEGER NOT NULL REFERENCES layout (layout_id),
    created_at_ms INTEGER NOT NULL,
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
    target_id INTEGER PRIMARY KEY,
    target_key TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    version INTEGER NOT NULL,
    scraped_at_ms INTEGER NOT NULL,
    -- Of the process, as it told at the last scrape; null when it does not tell.
    uptime_s REAL,
    started_at_s REAL
);

-- The counters as the last stored scrape saw them, written together with the rollups.
CREATE TABLE series (
    target_id INTEGER NOT NULL,
    edge_id INTEGER NOT NULL,
    counters BLOB NOT NULL,
    PRIMARY KEY (target_id, edge_id)
) WITHOUT ROWID;

-- `outcome` is received, stored, bytes or refused:<reason>.
CREATE TABLE ingest_count (
    door TEXT NOT NULL,
    signal TEXT NOT NULL,
    outcome TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (door, signal, outcome)
) WITHOUT ROWID;

-- Time slices that exist: `family` is rollup_10s, rollup_1m, rollup_1h or span; bounds in Unix seconds.
CREATE TABLE slice (
    family TEXT NOT NULL,
    from_s INTEGER NOT NULL,
    to_s INTEGER NOT NULL,
    PRIMARY KEY (family, from_s)
) WITHOUT ROWID;

-- Steps before `before_s` were dropped from the family; coarser families may still have them.
CREATE TABLE dropped (
    family TEXT PRIMARY KEY,
    before_s INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE service (
    service_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- End of the newest slice that has a span of it; goes with the last slice.
    kept_until_s INTEGER NOT NULL
);

CREATE TABLE operation (
    operation_id INTEGER PRIMARY KEY,
    service_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kept_until_s INTEGER NOT NULL,
    UNIQUE (service_id, name)
);

INSERT INTO store_info VALUES (1, CAST(unixepoch('subsec') * 1000 AS INTEGER));

-- Rollups and spans have no table here: each slice is one, made from the templates in collector/src/store/schema.rs.
