-- As version 0.1.0 (schema 0002) left it, by pg_dump --inserts.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.config_revision_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'config_revision is append-only';
END;
$$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);
CREATE TABLE public.config_revision (
    config_revision_id bigint NOT NULL,
    kind text NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    revision bigint NOT NULL,
    action text NOT NULL,
    yaml text NOT NULL,
    author text NOT NULL,
    message text NOT NULL,
    created_at_ms bigint NOT NULL,
    object_since_ms bigint NOT NULL,
    rolled_back_to bigint,
    CONSTRAINT config_revision_action_check CHECK ((action = ANY (ARRAY['created'::text, 'configured'::text, 'deleted'::text, 'rolledback'::text]))),
    CONSTRAINT config_revision_revision_check CHECK ((revision > 0))
);
CREATE VIEW public.config_head AS
 SELECT DISTINCT ON (config_revision.kind, config_revision.namespace, config_revision.name) config_revision.config_revision_id,
    config_revision.kind,
    config_revision.namespace,
    config_revision.name,
    config_revision.revision,
    config_revision.action,
    config_revision.yaml,
    config_revision.author,
    config_revision.message,
    config_revision.created_at_ms,
    config_revision.object_since_ms,
    config_revision.rolled_back_to
   FROM public.config_revision
  ORDER BY config_revision.kind, config_revision.namespace, config_revision.name, config_revision.revision DESC;
ALTER TABLE public.config_revision ALTER COLUMN config_revision_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.config_revision_config_revision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.dropped (
    family text NOT NULL,
    before_s bigint NOT NULL
);
CREATE TABLE public.edge (
    edge_id bigint NOT NULL,
    edge_hash bytea NOT NULL,
    layout_id bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    reporter text NOT NULL,
    source_workload text NOT NULL,
    source_canonical_service text NOT NULL,
    source_canonical_revision text NOT NULL,
    source_workload_namespace text NOT NULL,
    source_principal text NOT NULL,
    source_app text NOT NULL,
    source_version text NOT NULL,
    source_cluster text NOT NULL,
    destination_workload text NOT NULL,
    destination_workload_namespace text NOT NULL,
    destination_principal text NOT NULL,
    destination_app text NOT NULL,
    destination_version text NOT NULL,
    destination_service text NOT NULL,
    destination_canonical_service text NOT NULL,
    destination_canonical_revision text NOT NULL,
    destination_service_name text NOT NULL,
    destination_service_namespace text NOT NULL,
    destination_cluster text NOT NULL,
    request_protocol text NOT NULL,
    response_code text NOT NULL,
    grpc_response_status text NOT NULL,
    response_flags text NOT NULL,
    connection_security_policy text NOT NULL
);
ALTER TABLE public.edge ALTER COLUMN edge_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.edge_edge_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.ingest_count (
    door text NOT NULL,
    signal text NOT NULL,
    outcome text NOT NULL,
    total bigint NOT NULL
);
CREATE TABLE public.layout (
    layout_id bigint NOT NULL,
    bounds text NOT NULL
);
ALTER TABLE public.layout ALTER COLUMN layout_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.layout_layout_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.operation (
    operation_id bigint NOT NULL,
    service_id bigint NOT NULL,
    name text NOT NULL,
    kept_until_s bigint NOT NULL
);
ALTER TABLE public.operation ALTER COLUMN operation_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.operation_operation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.rollup_10s (
    t bigint NOT NULL,
    edge_id bigint NOT NULL,
    requests bigint,
    duration_sum double precision,
    request_bytes double precision,
    response_bytes double precision,
    request_messages bigint,
    response_messages bigint,
    tcp_sent_bytes bigint,
    tcp_received_bytes bigint,
    tcp_opened bigint,
    tcp_closed bigint,
    b00 bigint,
    b01 bigint,
    b02 bigint,
    b03 bigint,
    b04 bigint,
    b05 bigint,
    b06 bigint,
    b07 bigint,
    b08 bigint,
    b09 bigint,
    b10 bigint,
    b11 bigint,
    b12 bigint,
    b13 bigint,
    b14 bigint,
    b15 bigint,
    b16 bigint,
    b17 bigint,
    b18 bigint,
    b19 bigint,
    b20 bigint,
    b21 bigint,
    b22 bigint,
    b23 bigint
)
PARTITION BY RANGE (t);
CREATE TABLE public.rollup_10s_1795528800 (
    t bigint NOT NULL,
    edge_id bigint NOT NULL,
    requests bigint,
    duration_sum double precision,
    request_bytes double precision,
    response_bytes double precision,
    request_messages bigint,
    response_messages bigint,
    tcp_sent_bytes bigint,
    tcp_received_bytes bigint,
    tcp_opened bigint,
    tcp_closed bigint,
    b00 bigint,
    b01 bigint,
    b02 bigint,
    b03 bigint,
    b04 bigint,
    b05 bigint,
    b06 bigint,
    b07 bigint,
    b08 bigint,
    b09 bigint,
    b10 bigint,
    b11 bigint,
    b12 bigint,
    b13 bigint,
    b14 bigint,
    b15 bigint,
    b16 bigint,
    b17 bigint,
    b18 bigint,
    b19 bigint,
    b20 bigint,
    b21 bigint,
    b22 bigint,
    b23 bigint
);
CREATE TABLE public.rollup_1h (
    t bigint NOT NULL,
    edge_id bigint NOT NULL,
    requests bigint,
    duration_sum double precision,
    request_bytes double precision,
    response_bytes double precision,
    request_messages bigint,
    response_messages bigint,
    tcp_sent_bytes bigint,
    tcp_received_bytes bigint,
    tcp_opened bigint,
    tcp_closed bigint,
    b00 bigint,
    b01 bigint,
    b02 bigint,
    b03 bigint,
    b04 bigint,
    b05 bigint,
    b06 bigint,
    b07 bigint,
    b08 bigint,
    b09 bigint,
    b10 bigint,
    b11 bigint,
    b12 bigint,
    b13 bigint,
    b14 bigint,
    b15 bigint,
    b16 bigint,
    b17 bigint,
    b18 bigint,
    b19 bigint,
    b20 bigint,
    b21 bigint,
    b22 bigint,
    b23 bigint
)
PARTITION BY RANGE (t);
CREATE TABLE public.rollup_1h_1793664000 (
    t bigint NOT NULL,
    edge_id bigint NOT NULL,
    requests bigint,
    duration_sum double precision,
    request_bytes double precision,
    response_bytes double precision,
    request_messages bigint,
    response_messages bigint,
    tcp_sent_bytes bigint,
    tcp_received_bytes bigint,
    tcp_opened bigint,
    tcp_closed bigint,
    b00 bigint,
    b01 bigint,
    b02 bigint,
    b03 bigint,
    b04 bigint,
    b05 bigint,
    b06 bigint,
    b07 bigint,
    b08 bigint,
    b09 bigint,
    b10 bigint,
    b11 bigint,
    b12 bigint,
    b13 bigint,
    b14 bigint,
    b15 bigint,
    b16 bigint,
    b17 bigint,
    b18 bigint,
    b19 bigint,
    b20 bigint,
    b21 bigint,
    b22 bigint,
    b23 bigint
);
CREATE TABLE public.rollup_1m (
    t bigint NOT NULL,
    edge_id bigint NOT NULL,
    requests bigint,
    duration_sum double precision,
    request_bytes double precision,
    response_bytes double precision,
    request_messages bigint,
    response_messages bigint,
    tcp_sent_bytes bigint,
    tcp_received_bytes bigint,
    tcp_opened bigint,
    tcp_closed bigint,
    b00 bigint,
    b01 bigint,
    b02 bigint,
    b03 bigint,
    b04 bigint,
    b05 bigint,
    b06 bigint,
    b07 bigint,
    b08 bigint,
    b09 bigint,
    b10 bigint,
    b11 bigint,
    b12 bigint,
    b13 bigint,
    b14 bigint,
    b15 bigint,
    b16 bigint,
    b17 bigint,
    b18 bigint,
    b19 bigint,
    b20 bigint,
    b21 bigint,
    b22 bigint,
    b23 bigint
)
PARTITION BY RANGE (t);
CREATE TABLE public.rollup_1m_1795478400 (
    t bigint NOT NULL,
    edge_id bigint NOT NULL,
    requests bigint,
    duration_sum double precision,
    request_bytes double precision,
    response_bytes double precision,
    request_messages bigint,
    response_messages bigint,
    tcp_sent_bytes bigint,
    tcp_received_bytes bigint,
    tcp_opened bigint,
    tcp_closed bigint,
    b00 bigint,
    b01 bigint,
    b02 bigint,
    b03 bigint,
    b04 bigint,
    b05 bigint,
    b06 bigint,
    b07 bigint,
    b08 bigint,
    b09 bigint,
    b10 bigint,
    b11 bigint,
    b12 bigint,
    b13 bigint,
    b14 bigint,
    b15 bigint,
    b16 bigint,
    b17 bigint,
    b18 bigint,
    b19 bigint,
    b20 bigint,
    b21 bigint,
    b22 bigint,
    b23 bigint
);
CREATE TABLE public.series (
    target_id bigint NOT NULL,
    edge_id bigint NOT NULL,
    counters bytea NOT NULL
);
CREATE TABLE public.service (
    service_id bigint NOT NULL,
    name text NOT NULL,
    kept_until_s bigint NOT NULL
);
ALTER TABLE public.service ALTER COLUMN service_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.service_service_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.slice (
    family text NOT NULL,
    from_s bigint NOT NULL,
    to_s bigint NOT NULL
);
CREATE TABLE public.span (
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    kind bigint NOT NULL,
    service_id bigint NOT NULL,
    start_us bigint NOT NULL,
    duration_us bigint NOT NULL,
    operation_id bigint NOT NULL,
    is_error bigint NOT NULL,
    body bytea NOT NULL
)
PARTITION BY RANGE (start_us);
CREATE TABLE public.span_1795521600 (
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    kind bigint NOT NULL,
    service_id bigint NOT NULL,
    start_us bigint NOT NULL,
    duration_us bigint NOT NULL,
    operation_id bigint NOT NULL,
    is_error bigint NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE public.span_1795528800 (
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    kind bigint NOT NULL,
    service_id bigint NOT NULL,
    start_us bigint NOT NULL,
    duration_us bigint NOT NULL,
    operation_id bigint NOT NULL,
    is_error bigint NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE public.store_info (
    store_id bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    CONSTRAINT store_info_store_id_check CHECK ((store_id = 1))
);
CREATE TABLE public.target (
    target_id bigint NOT NULL,
    target_key text NOT NULL,
    namespace text NOT NULL,
    version bigint NOT NULL,
    scraped_at_ms bigint NOT NULL,
    uptime_s double precision,
    started_at_s double precision
);
ALTER TABLE public.target ALTER COLUMN target_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.target_target_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY public.rollup_10s ATTACH PARTITION public.rollup_10s_1795528800 FOR VALUES FROM ('1795528800') TO ('1795536000');
ALTER TABLE ONLY public.rollup_1h ATTACH PARTITION public.rollup_1h_1793664000 FOR VALUES FROM ('1793664000') TO ('1796256000');
ALTER TABLE ONLY public.rollup_1m ATTACH PARTITION public.rollup_1m_1795478400 FOR VALUES FROM ('1795478400') TO ('1795564800');
ALTER TABLE ONLY public.span ATTACH PARTITION public.span_1795521600 FOR VALUES FROM ('1795521600000000') TO ('1795525200000000');
ALTER TABLE ONLY public.span ATTACH PARTITION public.span_1795528800 FOR VALUES FROM ('1795528800000000') TO ('1795532400000000');
INSERT INTO public._sqlx_migrations VALUES (1, 'telemetry', '2026-11-24 14:39:20.204501+00', true, '\x290d5b029e208888c6478a858add2e36bf11b3dd860098e66a163859dd90253b67dec31e0b79ff728fc5207efe1c7681', 113934512);
INSERT INTO public._sqlx_migrations VALUES (2, 'configuration', '2026-11-24 14:39:20.324424+00', true, '\x35d4e8c69cc1f273e391ed9a7bf5b44867bfbfebd5c25ea074cc618bac605ef29f8994da3a1b6d411991d9f332f0bfaa', 28383644);
INSERT INTO public.config_revision OVERRIDING SYSTEM VALUE VALUES (1, 'Service', 'bookinfo', 'reviews', 1, 'created', '# kept as it was written: ä
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: bookinfo}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
', 'anonymous', 'first', 1795531163471, 1795531163471, NULL);
INSERT INTO public.config_revision OVERRIDING SYSTEM VALUE VALUES (2, 'Service', 'bookinfo', 'reviews', 2, 'configured', '# kept as it was written: ä
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: bookinfo}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9081}]
', 'anonymous', 'second', 1795531163478, 1795531163471, NULL);
INSERT INTO public.edge OVERRIDING SYSTEM VALUE VALUES (1, '\x7149fe8905388d39f81eaf171afdfb75', 1, 1795531160532, 'destination', 'productpage-v1', '', '', 'bookinfo', '', '', '', '', 'ratings-v1', 'bookinfo', '', '', '', 'ratings.bookinfo.svc.cluster.local', '', '', 'ratings', 'bookinfo', '', 'http', '503', '', '-', '');
INSERT INTO public.edge OVERRIDING SYSTEM VALUE VALUES (2, '\x8584fed6810415256b14933c13a30f3b', 1, 1795531160534, 'destination', 'productpage-v1', '', '', 'bookinfo', '', '', '', '', 'reviews-v1', 'bookinfo', '', '', '', 'reviews.bookinfo.svc.cluster.local', '', '', 'reviews', 'bookinfo', '', 'http', '200', '', '-', '');
INSERT INTO public.ingest_count VALUES ('zipkin', 'spans', 'bytes', 1406);
INSERT INTO public.ingest_count VALUES ('zipkin', 'spans', 'received', 4);
INSERT INTO public.ingest_count VALUES ('zipkin', 'spans', 'stored', 4);
INSERT INTO public.ingest_count VALUES ('scrape', 'samples', 'bytes', 45222);
INSERT INTO public.ingest_count VALUES ('scrape', 'samples', 'received', 117);
INSERT INTO public.ingest_count VALUES ('scrape', 'samples', 'refused:unused', 18);
INSERT INTO public.ingest_count VALUES ('scrape', 'samples', 'stored', 99);
INSERT INTO public.layout OVERRIDING SYSTEM VALUE VALUES (1, '1,5');
INSERT INTO public.operation OVERRIDING SYSTEM VALUE VALUES (1, 1, 'productpage.bookinfo:9080/*', 1795532400);
INSERT INTO public.operation OVERRIDING SYSTEM VALUE VALUES (2, 1, 'reviews.bookinfo:9080/*', 1795532400);
INSERT INTO public.operation OVERRIDING SYSTEM VALUE VALUES (3, 2, 'reviews.bookinfo:9080/*', 1795532400);
INSERT INTO public.operation OVERRIDING SYSTEM VALUE VALUES (4, 3, 'ratings.bookinfo:9080/*', 1795525200);
INSERT INTO public.rollup_10s_1795528800 VALUES (1795531160, 1, 3, 6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.rollup_10s_1795528800 VALUES (1795531160, 2, 12, 24, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 10, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.rollup_1h_1793664000 VALUES (1795528800, 1, 3, 6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.rollup_1h_1793664000 VALUES (1795528800, 2, 12, 24, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 10, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.rollup_1m_1795478400 VALUES (1795531140, 1, 3, 6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.rollup_1m_1795478400 VALUES (1795531140, 2, 12, 24, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 10, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.series VALUES (1, 1, '\x03000000000000000000000000184000000000000000000000000000000000020100');
INSERT INTO public.series VALUES (1, 2, '\x0c000000000000000000000000384000000000000000000000000000000000020a00');
INSERT INTO public.service OVERRIDING SYSTEM VALUE VALUES (1, 'productpage.bookinfo', 1795532400);
INSERT INTO public.service OVERRIDING SYSTEM VALUE VALUES (2, 'reviews.bookinfo', 1795532400);
INSERT INTO public.service OVERRIDING SYSTEM VALUE VALUES (3, 'ratings.bookinfo', 1795525200);
INSERT INTO public.slice VALUES ('rollup_10s', 1795528800, 1795536000);
INSERT INTO public.slice VALUES ('rollup_1m', 1795478400, 1795564800);
INSERT INTO public.slice VALUES ('rollup_1h', 1793664000, 1796256000);
INSERT INTO public.slice VALUES ('span', 1795521600, 1795525200);
INSERT INTO public.slice VALUES ('span', 1795528800, 1795532400);
INSERT INTO public.span_1795521600 VALUES ('\x00000000000000004bf92f3577b34da6', '\x4bf92f3577b34da6', 2, 3, 1795523958000000, 900, 4, 0, '\x7b226e223a22726174696e67732e626f6f6b696e666f3a393038302f2a222c226c223a7b2273223a22726174696e67732e626f6f6b696e666f227d7d');
INSERT INTO public.span_1795528800 VALUES ('\x0af7651916cd43dd8448eb211c80319c', '\xb7ad6b7169203331', 2, 1, 1795531158000000, 42000, 1, 0, '\x7b226e223a2270726f64756374706167652e626f6f6b696e666f3a393038302f2a222c226c223a7b2273223a2270726f64756374706167652e626f6f6b696e666f222c2261223a2231302e302e302e31222c2270223a393038307d2c2274223a5b5b22687474702e7374617475735f636f6465222c22323030225d2c5b22687474702e75726c222c22687474703a2f2f73686f702f70726f6475637470616765225d5d7d');
INSERT INTO public.span_1795528800 VALUES ('\x0af7651916cd43dd8448eb211c80319c', '\x00f067aa0ba902b7', 3, 1, 1795531158005000, 20000, 2, 1, '\x7b2270223a5b3138332c3137332c3130372c3131332c3130352c33322c35312c34395d2c226e223a22726576696577732e626f6f6b696e666f3a393038302f2a222c226c223a7b2273223a2270726f64756374706167652e626f6f6b696e666f227d2c2272223a7b2273223a22726576696577732e626f6f6b696e666f222c2261223a22323030313a6462383a3a31222c2270223a393038307d2c2261223a5b5b313739353533313135383030363030302c227265747279225d5d2c2274223a5b5b226572726f72222c2274727565225d2c5b22687474702e7374617475735f636f6465222c22353033225d5d7d');
INSERT INTO public.span_1795528800 VALUES ('\x0af7651916cd43dd8448eb211c80319c', '\x00f067aa0ba902b7', 10, 2, 1795531158006000, 18000, 3, 0, '\x7b2270223a5b3138332c3137332c3130372c3131332c3130352c33322c35312c34395d2c2264223a747275652c226e223a22726576696577732e626f6f6b696e666f3a393038302f2a222c226c223a7b2273223a22726576696577732e626f6f6b696e666f227d2c2274223a5b5b22687474702e7374617475735f636f6465222c22353033225d5d7d');
INSERT INTO public.store_info VALUES (1, 1795531160311);
INSERT INTO public.target OVERRIDING SYSTEM VALUE VALUES (1, 'http://127.77.200.1:9199/stats/prometheus', '', 9, 1795531164252, 4, NULL);
SELECT pg_catalog.setval('public.config_revision_config_revision_id_seq', 2, true);
SELECT pg_catalog.setval('public.edge_edge_id_seq', 2, true);
SELECT pg_catalog.setval('public.layout_layout_id_seq', 2, true);
SELECT pg_catalog.setval('public.operation_operation_id_seq', 4, true);
SELECT pg_catalog.setval('public.service_service_id_seq', 3, true);
SELECT pg_catalog.setval('public.target_target_id_seq', 1, true);
ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.config_revision
    ADD CONSTRAINT config_revision_kind_namespace_name_revision_key UNIQUE (kind, namespace, name, revision);
ALTER TABLE ONLY public.config_revision
    ADD CONSTRAINT config_revision_pkey PRIMARY KEY (config_revision_id);
ALTER TABLE ONLY public.dropped
    ADD CONSTRAINT dropped_pkey PRIMARY KEY (family);
ALTER TABLE ONLY public.edge
    ADD CONSTRAINT edge_edge_hash_key UNIQUE (edge_hash);
ALTER TABLE ONLY public.edge
    ADD CONSTRAINT edge_pkey PRIMARY KEY (edge_id);
ALTER TABLE ONLY public.ingest_count
    ADD CONSTRAINT ingest_count_pkey PRIMARY KEY (door, signal, outcome);
ALTER TABLE ONLY public.layout
    ADD CONSTRAINT layout_bounds_key UNIQUE (bounds);
ALTER TABLE ONLY public.layout
    ADD CONSTRAINT layout_pkey PRIMARY KEY (layout_id);
ALTER TABLE ONLY public.operation
    ADD CONSTRAINT operation_pkey PRIMARY KEY (operation_id);
ALTER TABLE ONLY public.operation
    ADD CONSTRAINT operation_service_id_name_key UNIQUE (service_id, name);
ALTER TABLE ONLY public.rollup_10s
    ADD CONSTRAINT rollup_10s_pkey PRIMARY KEY (t, edge_id);
ALTER TABLE ONLY public.rollup_10s_1795528800
    ADD CONSTRAINT rollup_10s_1795528800_pkey PRIMARY KEY (t, edge_id);
ALTER TABLE ONLY public.rollup_1h
    ADD CONSTRAINT rollup_1h_pkey PRIMARY KEY (t, edge_id);
ALTER TABLE ONLY public.rollup_1h_1793664000
    ADD CONSTRAINT rollup_1h_1793664000_pkey PRIMARY KEY (t, edge_id);
ALTER TABLE ONLY public.rollup_1m
    ADD CONSTRAINT rollup_1m_pkey PRIMARY KEY (t, edge_id);
ALTER TABLE ONLY public.rollup_1m_1795478400
    ADD CONSTRAINT rollup_1m_1795478400_pkey PRIMARY KEY (t, edge_id);
ALTER TABLE ONLY public.series
    ADD CONSTRAINT series_pkey PRIMARY KEY (target_id, edge_id);
ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_name_key UNIQUE (name);
ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_pkey PRIMARY KEY (service_id);
ALTER TABLE ONLY public.slice
    ADD CONSTRAINT slice_pkey PRIMARY KEY (family, from_s);
ALTER TABLE ONLY public.span
    ADD CONSTRAINT span_pkey PRIMARY KEY (trace_id, span_id, kind, service_id, start_us);
ALTER TABLE ONLY public.span_1795521600
    ADD CONSTRAINT span_1795521600_pkey PRIMARY KEY (trace_id, span_id, kind, service_id, start_us);
ALTER TABLE ONLY public.span_1795528800
    ADD CONSTRAINT span_1795528800_pkey PRIMARY KEY (trace_id, span_id, kind, service_id, start_us);
ALTER TABLE ONLY public.store_info
    ADD CONSTRAINT store_info_pkey PRIMARY KEY (store_id);
ALTER TABLE ONLY public.target
    ADD CONSTRAINT target_pkey PRIMARY KEY (target_id);
ALTER TABLE ONLY public.target
    ADD CONSTRAINT target_target_key_key UNIQUE (target_key);
CREATE INDEX config_revision_by_time ON public.config_revision USING btree (created_at_ms);
CREATE INDEX span_by_service ON ONLY public.span USING btree (service_id, start_us);
CREATE INDEX span_1795521600_service_id_start_us_idx ON public.span_1795521600 USING btree (service_id, start_us);
CREATE INDEX span_1795528800_service_id_start_us_idx ON public.span_1795528800 USING btree (service_id, start_us);
ALTER INDEX public.rollup_10s_pkey ATTACH PARTITION public.rollup_10s_1795528800_pkey;
ALTER INDEX public.rollup_1h_pkey ATTACH PARTITION public.rollup_1h_1793664000_pkey;
ALTER INDEX public.rollup_1m_pkey ATTACH PARTITION public.rollup_1m_1795478400_pkey;
ALTER INDEX public.span_pkey ATTACH PARTITION public.span_1795521600_pkey;
ALTER INDEX public.span_by_service ATTACH PARTITION public.span_1795521600_service_id_start_us_idx;
ALTER INDEX public.span_pkey ATTACH PARTITION public.span_1795528800_pkey;
ALTER INDEX public.span_by_service ATTACH PARTITION public.span_1795528800_service_id_start_us_idx;
CREATE TRIGGER config_revision_keeps_rows BEFORE DELETE OR UPDATE ON public.config_revision FOR EACH ROW EXECUTE FUNCTION public.config_revision_is_append_only();
ALTER TABLE ONLY public.edge
    ADD CONSTRAINT edge_layout_id_fkey FOREIGN KEY (layout_id) REFERENCES public.layout(layout_id);
