-- As version 0.1.0 (schema 0002) left it, by .dump.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations VALUES(1,'telemetry','2026-11-24 14:38:56',1,X'b5376fc89ffe9c1609cadcd103f92a2917cb35c29d1e6885e2582d29fd24d0fd1dfcdf986d250a10942fc7c8851c0f8e',1110756);
INSERT INTO _sqlx_migrations VALUES(2,'configuration','2026-11-24 14:38:56',1,X'c42603b8842474c979611c87089e10351a5f36f882cd1224c3aa3232cba99e6460da3692e6891aea773c5c9f92c98a42',740875);
CREATE TABLE store_info (
    store_id INTEGER PRIMARY KEY CHECK (store_id = 1),
    created_at_ms INTEGER NOT NULL
);
INSERT INTO store_info VALUES(1,1795531136024);
CREATE TABLE layout (
    layout_id INTEGER PRIMARY KEY,
    bounds TEXT NOT NULL UNIQUE
);
INSERT INTO layout VALUES(1,'1,5');
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
INSERT INTO edge VALUES(1,X'8584fed6810415256b14933c13a30f3b',1,1795531136133,'destination','productpage-v1','','','bookinfo','','','','','reviews-v1','bookinfo','','','','reviews.bookinfo.svc.cluster.local','','','reviews','bookinfo','','http','200','','-','');
INSERT INTO edge VALUES(2,X'7149fe8905388d39f81eaf171afdfb75',1,1795531136133,'destination','productpage-v1','','','bookinfo','','','','','ratings-v1','bookinfo','','','','ratings.bookinfo.svc.cluster.local','','','ratings','bookinfo','','http','503','','-','');
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
INSERT INTO target VALUES(1,'http://127.77.200.1:9199/stats/prometheus','',9,1795531139792,3.0,NULL);
CREATE TABLE series (
    target_id INTEGER NOT NULL,
    edge_id INTEGER NOT NULL,
    counters BLOB NOT NULL,
    PRIMARY KEY (target_id, edge_id)
) WITHOUT ROWID;
INSERT INTO series VALUES(1,1,X'0c000000000000000000000000384000000000000000000000000000000000020a00');
INSERT INTO series VALUES(1,2,X'03000000000000000000000000184000000000000000000000000000000000020100');
CREATE TABLE ingest_count (
    door TEXT NOT NULL,
    signal TEXT NOT NULL,
    outcome TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (door, signal, outcome)
) WITHOUT ROWID;
INSERT INTO ingest_count VALUES('scrape','samples','bytes',45222);
INSERT INTO ingest_count VALUES('scrape','samples','received',117);
INSERT INTO ingest_count VALUES('scrape','samples','refused:unused',18);
INSERT INTO ingest_count VALUES('scrape','samples','stored',99);
INSERT INTO ingest_count VALUES('zipkin','spans','bytes',1406);
INSERT INTO ingest_count VALUES('zipkin','spans','received',4);
INSERT INTO ingest_count VALUES('zipkin','spans','stored',4);
CREATE TABLE slice (
    family TEXT NOT NULL,
    from_s INTEGER NOT NULL,
    to_s INTEGER NOT NULL,
    PRIMARY KEY (family, from_s)
) WITHOUT ROWID;
INSERT INTO slice VALUES('rollup_10s',1795528800,1795536000);
INSERT INTO slice VALUES('rollup_1h',1793664000,1796256000);
INSERT INTO slice VALUES('rollup_1m',1795478400,1795564800);
INSERT INTO slice VALUES('span',1795521600,1795525200);
INSERT INTO slice VALUES('span',1795528800,1795532400);
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
INSERT INTO service VALUES(1,'productpage.bookinfo',1795532400);
INSERT INTO service VALUES(2,'reviews.bookinfo',1795532400);
INSERT INTO service VALUES(3,'ratings.bookinfo',1795525200);
CREATE TABLE operation (
    operation_id INTEGER PRIMARY KEY,
    service_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kept_until_s INTEGER NOT NULL,
    UNIQUE (service_id, name)
);
INSERT INTO operation VALUES(1,1,'productpage.bookinfo:9080/*',1795532400);
INSERT INTO operation VALUES(2,1,'reviews.bookinfo:9080/*',1795532400);
INSERT INTO operation VALUES(3,2,'reviews.bookinfo:9080/*',1795532400);
INSERT INTO operation VALUES(4,3,'ratings.bookinfo:9080/*',1795525200);
CREATE TABLE config_revision (
    config_revision_id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind               TEXT    NOT NULL,
    namespace          TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    -- Counts from 1 per object and goes on after a deletion.
    revision           INTEGER NOT NULL CHECK (revision > 0),
    action             TEXT    NOT NULL CHECK (action IN ('created', 'configured', 'deleted', 'rolledback')),
    -- As its author wrote it; empty for a deletion.
    yaml               TEXT    NOT NULL,
    author             TEXT    NOT NULL,
    message            TEXT    NOT NULL,
    -- Unix milliseconds.
    created_at_ms      INTEGER NOT NULL,
    -- When the object came to be, anew after a deletion: the oldest object wins where two claim one host.
    object_since_ms    INTEGER NOT NULL,
    rolled_back_to     INTEGER,
    UNIQUE (kind, namespace, name, revision)
);
INSERT INTO config_revision VALUES(1,'Service','bookinfo','reviews',1,'created',replace('# kept as it was written: ä\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: bookinfo}\nspec:\n  selector: {app: reviews}\n  ports: [{name: http, port: 9080}]\n','\n',char(10)),'anonymous','first',1795531139061,1795531139061,NULL);
INSERT INTO config_revision VALUES(2,'Service','bookinfo','reviews',2,'configured',replace('# kept as it was written: ä\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: bookinfo}\nspec:\n  selector: {app: reviews}\n  ports: [{name: http, port: 9081}]\n','\n',char(10)),'anonymous','second',1795531139072,1795531139061,NULL);
CREATE TABLE rollup_10s_1795528800 (t INTEGER NOT NULL, edge_id INTEGER NOT NULL, requests INTEGER, duration_sum REAL, request_bytes REAL, response_bytes REAL, request_messages INTEGER, response_messages INTEGER, tcp_sent_bytes INTEGER, tcp_received_bytes INTEGER, tcp_opened INTEGER, tcp_closed INTEGER, b00 INTEGER, b01 INTEGER, b02 INTEGER, b03 INTEGER, b04 INTEGER, b05 INTEGER, b06 INTEGER, b07 INTEGER, b08 INTEGER, b09 INTEGER, b10 INTEGER, b11 INTEGER, b12 INTEGER, b13 INTEGER, b14 INTEGER, b15 INTEGER, b16 INTEGER, b17 INTEGER, b18 INTEGER, b19 INTEGER, b20 INTEGER, b21 INTEGER, b22 INTEGER, b23 INTEGER, PRIMARY KEY (t, edge_id)) WITHOUT ROWID;
INSERT INTO rollup_10s_1795528800 VALUES(1795531130,1,12,24.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,10,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO rollup_10s_1795528800 VALUES(1795531130,2,3,6.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE rollup_1m_1795478400 (t INTEGER NOT NULL, edge_id INTEGER NOT NULL, requests INTEGER, duration_sum REAL, request_bytes REAL, response_bytes REAL, request_messages INTEGER, response_messages INTEGER, tcp_sent_bytes INTEGER, tcp_received_bytes INTEGER, tcp_opened INTEGER, tcp_closed INTEGER, b00 INTEGER, b01 INTEGER, b02 INTEGER, b03 INTEGER, b04 INTEGER, b05 INTEGER, b06 INTEGER, b07 INTEGER, b08 INTEGER, b09 INTEGER, b10 INTEGER, b11 INTEGER, b12 INTEGER, b13 INTEGER, b14 INTEGER, b15 INTEGER, b16 INTEGER, b17 INTEGER, b18 INTEGER, b19 INTEGER, b20 INTEGER, b21 INTEGER, b22 INTEGER, b23 INTEGER, PRIMARY KEY (t, edge_id)) WITHOUT ROWID;
INSERT INTO rollup_1m_1795478400 VALUES(1795531080,1,12,24.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,10,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO rollup_1m_1795478400 VALUES(1795531080,2,3,6.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE rollup_1h_1793664000 (t INTEGER NOT NULL, edge_id INTEGER NOT NULL, requests INTEGER, duration_sum REAL, request_bytes REAL, response_bytes REAL, request_messages INTEGER, response_messages INTEGER, tcp_sent_bytes INTEGER, tcp_received_bytes INTEGER, tcp_opened INTEGER, tcp_closed INTEGER, b00 INTEGER, b01 INTEGER, b02 INTEGER, b03 INTEGER, b04 INTEGER, b05 INTEGER, b06 INTEGER, b07 INTEGER, b08 INTEGER, b09 INTEGER, b10 INTEGER, b11 INTEGER, b12 INTEGER, b13 INTEGER, b14 INTEGER, b15 INTEGER, b16 INTEGER, b17 INTEGER, b18 INTEGER, b19 INTEGER, b20 INTEGER, b21 INTEGER, b22 INTEGER, b23 INTEGER, PRIMARY KEY (t, edge_id)) WITHOUT ROWID;
INSERT INTO rollup_1h_1793664000 VALUES(1795528800,1,12,24.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,10,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO rollup_1h_1793664000 VALUES(1795528800,2,3,6.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE span_1795521600 (trace_id BLOB NOT NULL, span_id BLOB NOT NULL, kind INTEGER NOT NULL, service_id INTEGER NOT NULL, start_us INTEGER NOT NULL, duration_us INTEGER NOT NULL, operation_id INTEGER NOT NULL, is_error INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (trace_id, span_id, kind, service_id, start_us));
INSERT INTO span_1795521600 VALUES(X'00000000000000004bf92f3577b34da6',X'4bf92f3577b34da6',2,3,1795523934000000,900,4,0,X'7b226e223a22726174696e67732e626f6f6b696e666f3a393038302f2a222c226c223a7b2273223a22726174696e67732e626f6f6b696e666f227d7d');
CREATE TABLE span_1795528800 (trace_id BLOB NOT NULL, span_id BLOB NOT NULL, kind INTEGER NOT NULL, service_id INTEGER NOT NULL, start_us INTEGER NOT NULL, duration_us INTEGER NOT NULL, operation_id INTEGER NOT NULL, is_error INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (trace_id, span_id, kind, service_id, start_us));
INSERT INTO span_1795528800 VALUES(X'0af7651916cd43dd8448eb211c80319c',X'b7ad6b7169203331',2,1,1795531134000000,42000,1,0,X'7b226e223a2270726f64756374706167652e626f6f6b696e666f3a393038302f2a222c226c223a7b2273223a2270726f64756374706167652e626f6f6b696e666f222c2261223a2231302e302e302e31222c2270223a393038307d2c2274223a5b5b22687474702e7374617475735f636f6465222c22323030225d2c5b22687474702e75726c222c22687474703a2f2f73686f702f70726f6475637470616765225d5d7d');
INSERT INTO span_1795528800 VALUES(X'0af7651916cd43dd8448eb211c80319c',X'00f067aa0ba902b7',3,1,1795531134005000,20000,2,1,X'7b2270223a5b3138332c3137332c3130372c3131332c3130352c33322c35312c34395d2c226e223a22726576696577732e626f6f6b696e666f3a393038302f2a222c226c223a7b2273223a2270726f64756374706167652e626f6f6b696e666f227d2c2272223a7b2273223a22726576696577732e626f6f6b696e666f222c2261223a22323030313a6462383a3a31222c2270223a393038307d2c2261223a5b5b313739353533313133343030363030302c227265747279225d5d2c2274223a5b5b226572726f72222c2274727565225d2c5b22687474702e7374617475735f636f6465222c22353033225d5d7d');
INSERT INTO span_1795528800 VALUES(X'0af7651916cd43dd8448eb211c80319c',X'00f067aa0ba902b7',10,2,1795531134006000,18000,3,0,X'7b2270223a5b3138332c3137332c3130372c3131332c3130352c33322c35312c34395d2c2264223a747275652c226e223a22726576696577732e626f6f6b696e666f3a393038302f2a222c226c223a7b2273223a22726576696577732e626f6f6b696e666f227d2c2274223a5b5b22687474702e7374617475735f636f6465222c22353033225d5d7d');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('config_revision',2);
CREATE INDEX config_revision_by_time ON config_revision (created_at_ms);
CREATE VIEW config_head AS
SELECT r.*
FROM config_revision r
WHERE r.revision = (
    SELECT MAX(n.revision)
    FROM config_revision n
    WHERE n.kind = r.kind AND n.namespace = r.namespace AND n.name = r.name
);
CREATE TRIGGER config_revision_keeps_rows BEFORE UPDATE ON config_revision
BEGIN
    SELECT RAISE(ABORT, 'config_revision is append-only');
END;
CREATE TRIGGER config_revision_loses_no_rows BEFORE DELETE ON config_revision
BEGIN
    SELECT RAISE(ABORT, 'config_revision is append-only');
END;
CREATE INDEX span_1795521600_by_service ON span_1795521600 (service_id, start_us);
CREATE INDEX span_1795528800_by_service ON span_1795528800 (service_id, start_us);
COMMIT;
