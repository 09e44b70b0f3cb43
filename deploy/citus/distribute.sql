-- Spreads the collector's tables over the workers of a Citus cluster. Run it once, on the coordinator, in the collector's
-- database, after a collector has made its schema there and while none runs:
--
--   psql -v ON_ERROR_STOP=1 -f deploy/citus/distribute.sql "$DATABASE_URL"
--
-- What grows with traffic is distributed; its key is part of every primary key, so statements stay as they are. What is
-- joined with it or asked for on every write is small and lives on every node. What has triggers stays on the
-- coordinator. A test compares this list with the schema; it was not run against a Citus cluster.

BEGIN;

-- Rollups of edges: all steps of an edge lie together.
SELECT create_distributed_table('rollup_10s', 'edge_id', colocate_with => 'none');
SELECT create_distributed_table('rollup_1m', 'edge_id', colocate_with => 'rollup_10s');
SELECT create_distributed_table('rollup_1h', 'edge_id', colocate_with => 'rollup_10s');

-- The counters of a target as it was last scraped lie together.
SELECT create_distributed_table('series', 'target_id', colocate_with => 'none');

SELECT create_distributed_table('pushed_state', 'target_id', colocate_with => 'series');

-- Blocks: by a hash for spans and logs, by the group of their series for samples.
SELECT create_distributed_table('span_block', 'shard', colocate_with => 'none');
SELECT create_distributed_table('log_block', 'shard', colocate_with => 'span_block');
SELECT create_distributed_table('sample_block', 'shard', colocate_with => 'none');
SELECT create_distributed_table('verdict_block', 'shard', colocate_with => 'span_block');

SELECT create_distributed_table('delivery', 'delivery_id', colocate_with => 'none');
SELECT create_distributed_table('export_queue', 'queue_id', colocate_with => 'none');
SELECT create_distributed_table('trace_facts', 'facts_id', colocate_with => 'none');
SELECT create_distributed_table('metric_series', 'series_id', colocate_with => 'none');
SELECT create_distributed_table('exemplar', 'series_id', colocate_with => 'metric_series');
SELECT create_distributed_table('label_pair', 'label_pair_id', colocate_with => 'none');
SELECT create_distributed_table('service_link', 'parent', colocate_with => 'none');
SELECT create_distributed_table('archived_trace', 'trace_id', colocate_with => 'none');

SELECT create_reference_table('metric_metadata');
SELECT create_reference_table('layout');
SELECT create_reference_table('edge');
SELECT create_reference_table('target');
SELECT create_reference_table('service');
SELECT create_reference_table('operation');
SELECT create_reference_table('remote_service');
SELECT create_reference_table('store_info');
SELECT create_reference_table('store_sequence');
SELECT create_reference_table('slice');
SELECT create_reference_table('dropped');
SELECT create_reference_table('ingest_count');
SELECT create_reference_table('collector');
SELECT create_reference_table('target_lease');
SELECT create_reference_table('trace_judge');

-- On the coordinator, because of its trigger: config_revision. The list of migrations stays there as well: _sqlx_migrations.

COMMIT;
