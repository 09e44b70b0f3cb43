//! Answers from the rollups: what edges carried in a window, as one sum or step by step.

use std::collections::HashSet;

use super::batch::StoredTarget;
use super::database::{Database, Row, Transaction};
use super::dictionary::refresh_edges;
use super::plan::{DroppedBefore, Part, plan};
use super::retention_clock::StoreTime;
use super::schema::{Dialect, Family, REALS, slices_between, value_columns};
use super::{EdgeAnswer, EdgeFilter, EdgeLabels, EdgeTotals, StoreError, Window, counters};

/// Chosen edges up to this many are named in the query; more are picked from its answer.
const EDGES_NAMED_MAX: usize = 2_000;

pub(super) async fn edges<D: Database>(
    database: &D,
    window: Window,
    filter: Option<EdgeFilter>,
) -> Result<EdgeAnswer, StoreError> {
    let mut transaction = database.begin_read().await?;
    let newest_ms = newest_ms(database, &mut *transaction).await?;
    let (window, parts) = plan(window, dropped(&mut *transaction).await?, newest_ms);
    refresh_edges(database, &mut *transaction).await?;
    let chosen = filter.map(|filter| choose(database, &*filter));
    let Some(sql) = rollup_sql(D::DIALECT, &mut *transaction, &parts, chosen.as_ref()).await? else {
        return Ok(EdgeAnswer { window, edges: Vec::new() });
    };
    let rows = transaction.fetch(&sql, vec![]).await?;
    let mut edges = Vec::with_capacity(rows.len());
    for row in rows.iter().filter(|row| is_chosen(chosen.as_ref(), row.int(0))) {
        if let Some(edge) = database.caches().edge(row.int(0)) {
            let totals = counters::read(row, 1, &edge.bounds);
            edges.push(EdgeTotals { labels: edge.labels.clone(), totals });
        }
    }
    Ok(EdgeAnswer { window, edges })
}

fn choose<D: Database>(database: &D, filter: &(dyn Fn(&EdgeLabels) -> bool + Send + Sync)) -> HashSet<i64> {
    database.caches().edges().into_iter().filter(|(_, edge)| filter(&edge.labels)).map(|(id, _)| id).collect()
}

fn is_chosen(chosen: Option<&HashSet<i64>>, edge_id: i64) -> bool {
    chosen.is_none_or(|chosen| chosen.contains(&edge_id))
}

/// Sums per edge; `None` when there is nothing to ask.
async fn rollup_sql(
    dialect: Dialect,
    transaction: &mut dyn Transaction,
    parts: &[Part],
    chosen: Option<&HashSet<i64>>,
) -> Result<Option<String>, StoreError> {
    if chosen.is_some_and(HashSet::is_empty) {
        return Ok(None);
    }
    let named = chosen.filter(|chosen| chosen.len() <= EDGES_NAMED_MAX).map_or_else(String::new, |chosen| {
        let ids: Vec<String> = chosen.iter().map(i64::to_string).collect();
        format!(" AND edge_id IN ({})", ids.join(","))
    });
    let columns: Vec<String> = value_columns().collect();
    let mut tables = Vec::new();
    for part in parts {
        for table in tables_of(dialect, transaction, *part).await? {
            tables.push(format!(
                "SELECT t, edge_id, {} FROM {table} WHERE t >= {} AND t < {}{named}",
                columns.join(", "),
                part.from_s,
                part.to_s
            ));
        }
    }
    if tables.is_empty() {
        return Ok(None);
    }
    let sums: Vec<String> = columns.iter().map(|name| sum(name)).collect();
    Ok(Some(format!("SELECT edge_id, {} FROM ({}) AS parts GROUP BY edge_id", sums.join(", "), tables.join(" UNION ALL "))))
}

pub(super) fn sum(column: &str) -> String {
    if REALS.contains(&column) { format!("SUM({column})") } else { format!("CAST(SUM({column}) AS BIGINT)") }
}

/// In Postgres the parent finds its partitions by itself.
pub(super) async fn tables_of(
    dialect: Dialect,
    transaction: &mut dyn Transaction,
    part: Part,
) -> Result<Vec<String>, StoreError> {
    if dialect == Dialect::Postgres {
        return Ok(vec![part.family.name().to_owned()]);
    }
    let slices = slices_between(transaction, part.family, part.from_s, part.to_s).await?;
    Ok(slices.into_iter().map(super::schema::Slice::table).collect())
}

pub(super) async fn dropped(transaction: &mut dyn Transaction) -> Result<DroppedBefore, StoreError> {
    let rows = transaction.fetch("SELECT family, before_s FROM dropped", vec![]).await?;
    Ok(Family::ROLLUPS.map(|family| rows.iter().find(|row| row.text(0) == family.name()).map_or(i64::MIN, |row| row.int(1))))
}

/// The newest sample of this collector, and of the others that share the database.
pub(super) async fn newest_ms<D: Database>(database: &D, transaction: &mut dyn Transaction) -> Result<i64, StoreError> {
    let rows = transaction.fetch("SELECT MAX(scraped_at_ms) FROM target", vec![]).await?;
    Ok(rows.first().map_or(0, |row| row.int(0)).max(database.caches().newest_ms()))
}

pub(super) async fn target<D: Database>(database: &D, key: &str) -> Result<Option<StoredTarget>, StoreError> {
    let mut transaction = database.begin_read().await?;
    refresh_edges(database, &mut *transaction).await?;
    let rows = transaction
        .fetch(
            "SELECT target_id, version, scraped_at_ms, uptime_s, started_at_s FROM target WHERE target_key = $1",
            vec![key.into()],
        )
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let series = transaction.fetch("SELECT edge_id, counters FROM series WHERE target_id = $1", vec![row.int(0).into()]).await?;
    let counters = series
        .iter()
        .filter_map(|row| database.caches().edge(row.int(0)).map(|edge| (edge, row)))
        .map(|(edge, row)| {
            let totals = counters::decode(row.blob(1), edge.bounds.clone());
            (edge, totals)
        })
        .collect();
    Ok(Some(StoredTarget {
        version: row.int(1),
        scraped_at_ms: row.int(2),
        uptime_s: row.opt_real(3),
        started_at_s: row.opt_real(4),
        counters,
    }))
}

pub(super) async fn last_sample_ms<D: Database>(
    database: &D,
    namespaces: &[String],
    before_ms: i64,
) -> Result<Option<i64>, StoreError> {
    let mut transaction = database.begin_read().await?;
    let rows = transaction
        .fetch("SELECT namespace, MAX(scraped_at_ms), MIN(scraped_at_ms) FROM target GROUP BY namespace", vec![])
        .await?;
    let shown = |row: &&Row| namespaces.is_empty() || namespaces.iter().any(|name| name == row.text(0));
    let heard = rows.iter().filter(shown).map(|row| row.int(1)).max();
    if heard.is_some_and(|heard| heard <= before_ms) {
        return Ok(heard);
    }
    // Heard after the end of the window, or by a target whose namespace is not known: the newest step with traffic tells
    // whether anything was kept by then.
    refresh_edges(database, &mut *transaction).await?;
    let filter = (!namespaces.is_empty()).then(|| super::in_namespaces(namespaces));
    let chosen = filter.map(|filter| choose(database, &*filter));
    let newest = newest_step_s(D::DIALECT, &mut *transaction, chosen.as_ref(), before_ms).await?;
    Ok(newest.map(|(t_s, family)| ((t_s + family.step_s()) * 1000).min(before_ms)))
}

/// The newest step with traffic that starts before a time, in the finest family that has one.
async fn newest_step_s(
    dialect: Dialect,
    transaction: &mut dyn Transaction,
    chosen: Option<&HashSet<i64>>,
    before_ms: i64,
) -> Result<Option<(i64, Family)>, StoreError> {
    let before_s = before_ms.div_euclid(1000);
    for family in Family::ROLLUPS {
        let slice = family.slice_at(before_s);
        let part = Part { family, from_s: slice.from_s - family.slice_s(), to_s: before_s };
        for table in tables_of(dialect, transaction, part).await?.into_iter().rev() {
            let sql = format!(
                "SELECT t, edge_id FROM {table} WHERE t >= {} AND t < {} ORDER BY t DESC LIMIT 2000",
                part.from_s, part.to_s
            );
            let rows = transaction.fetch(&sql, vec![]).await?;
            if let Some(row) = rows.iter().find(|row| is_chosen(chosen, row.int(1))) {
                return Ok(Some((row.int(0), family)));
            }
        }
    }
    Ok(None)
}

pub(super) async fn created_at_ms<D: Database>(database: &D) -> Result<i64, StoreError> {
    let rows = database.begin_read().await?.fetch("SELECT created_at_ms FROM store_info", vec![]).await?;
    Ok(rows.first().map_or(0, |row| row.int(0)))
}

pub(super) async fn ingest_counts<D: Database>(database: &D) -> Result<Vec<(String, String, String, u64)>, StoreError> {
    let sql = "SELECT door, signal, outcome, total FROM ingest_count ORDER BY door, signal, outcome";
    let rows = database.begin_read().await?.fetch(sql, vec![]).await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned(), row.text(2).to_owned(), row.count(3))).collect())
}

pub(super) async fn time<D: Database>(database: &D) -> Result<StoreTime, StoreError> {
    let database_ms = match D::DIALECT {
        // The file has no clock but this machine's.
        Dialect::Sqlite => "CAST(NULL AS INTEGER)",
        Dialect::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    };
    let sql = format!("SELECT believed_ms, {database_ms} FROM store_info");
    let rows = database.begin_read().await?.fetch(&sql, vec![]).await?;
    let known = |index: usize| rows.first().map(|row| row.int(index)).filter(|ms| *ms > 0);
    Ok(StoreTime { believed_ms: known(0), database_ms: known(1) })
}
