//! Turns the rows of spans that the first version wrote into blocks, when a database of it is opened.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use tracing::info;

use super::block::LEVEL_WRITTEN;
use super::database::{Database, Row, Transaction};
use super::schema::{Dialect, Family, create_slice};
use super::span_block::encode;
use super::{AttributeValue, Endpoint, Resource, Span, SpanEvent, SpanKind, StoreError, block_write};

/// The family of the old slices.
const FAMILY: &str = "span";
/// Rows of one transaction: when the process ends halfway, the rest is converted next time.
const ROWS: usize = 5_000;
/// Held by the one collector that converts.
const LOCK: i64 = 20_003;
/// Added to the kind of the half of a client's span that the server reported.
const SHARED: i64 = 8;

/// What of a span was not a column.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "p")]
    parent_id: Option<[u8; 8]>,
    #[serde(rename = "d")]
    debug: bool,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "l")]
    local: Side,
    #[serde(rename = "r")]
    remote: Option<Side>,
    #[serde(rename = "a")]
    annotations: Vec<(i64, Arc<str>)>,
    #[serde(rename = "t")]
    tags: Vec<(Arc<str>, Arc<str>)>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Side {
    #[serde(rename = "s")]
    service: Arc<str>,
    #[serde(rename = "a")]
    ip: Option<IpAddr>,
    #[serde(rename = "p")]
    port: u16,
}

impl From<Side> for Endpoint {
    fn from(side: Side) -> Self {
        Self { service: side.service, ip: side.ip, port: side.port }
    }
}

/// Converts all old slices; nothing when there are none.
pub(super) async fn convert<D: Database>(database: &D) -> Result<(), StoreError> {
    let sql = "SELECT from_s FROM slice WHERE family = $1 ORDER BY from_s";
    let slices = database.begin_read().await?.fetch(sql, vec![FAMILY.into()]).await?;
    if !slices.is_empty() {
        info!(slices = slices.len(), "turning rows of spans into blocks");
    }
    let mut converted = 0;
    for row in &slices {
        converted += convert_slice(database, row.int(0)).await?;
    }
    if !slices.is_empty() {
        info!(spans = converted, "turned rows of spans into blocks");
    }
    if D::DIALECT == Dialect::Postgres {
        drop_parent(database).await?;
    }
    Ok(())
}

async fn convert_slice<D: Database>(database: &D, from_s: i64) -> Result<usize, StoreError> {
    create_slice(database, Family::SpanBlock.slice_at(from_s)).await?;
    let mut converted = 0;
    loop {
        let mut transaction = begin_alone(database).await?;
        if !is_listed(&mut *transaction, from_s).await? {
            // Another collector was faster.
            return Ok(converted);
        }
        let rows = take_rows(D::DIALECT, &mut *transaction, from_s).await?;
        if rows.is_empty() {
            transaction.execute(&format!("DROP TABLE {FAMILY}_{from_s}"), vec![]).await?;
            let sql = "DELETE FROM slice WHERE family = $1 AND from_s = $2";
            transaction.execute(sql, vec![FAMILY.into(), from_s.into()]).await?;
            transaction.commit().await?;
            return Ok(converted);
        }
        let services = service_names(&mut *transaction).await?;
        let spans: Vec<Span> = rows.iter().map(|row| span_of(row, &services)).collect();
        let blocks = tokio::task::spawn_blocking(move || encode(spans.iter())).await??;
        let blocks = blocks.iter().map(|(block, _)| (LEVEL_WRITTEN, block));
        block_write::insert::<D>(&mut *transaction, blocks).await?;
        transaction.commit().await?;
        converted += rows.len();
    }
}

async fn begin_alone<D: Database>(database: &D) -> Result<Box<dyn Transaction>, StoreError> {
    let mut transaction = database.begin().await?;
    if D::DIALECT == Dialect::Postgres {
        transaction.execute(&format!("SELECT pg_advisory_xact_lock({LOCK})"), vec![]).await?;
    }
    Ok(transaction)
}

async fn is_listed(transaction: &mut dyn Transaction, from_s: i64) -> Result<bool, StoreError> {
    let sql = "SELECT from_s FROM slice WHERE family = $1 AND from_s = $2";
    Ok(!transaction.fetch(sql, vec![FAMILY.into(), from_s.into()]).await?.is_empty())
}

/// Deletes some rows, and gives them back.
async fn take_rows(dialect: Dialect, transaction: &mut dyn Transaction, from_s: i64) -> Result<Vec<Row>, StoreError> {
    let table = format!("{FAMILY}_{from_s}");
    let some = match dialect {
        Dialect::Sqlite => format!("rowid IN (SELECT rowid FROM {table} LIMIT {ROWS})"),
        Dialect::Postgres => format!("ctid = ANY(ARRAY(SELECT ctid FROM {table} LIMIT {ROWS}))"),
    };
    let columns = "trace_id, span_id, kind, service_id, start_us, duration_us, is_error, body";
    transaction.fetch(&format!("DELETE FROM {table} WHERE {some} RETURNING {columns}"), vec![]).await
}

async fn service_names(transaction: &mut dyn Transaction) -> Result<HashMap<i64, Arc<str>>, StoreError> {
    let rows = transaction.fetch("SELECT service_id, name FROM service", vec![]).await?;
    Ok(rows.iter().map(|row| (row.int(0), Arc::from(row.text(1)))).collect())
}

/// A body that cannot be read leaves empty what it had.
fn span_of(row: &Row, services: &HashMap<i64, Arc<str>>) -> Span {
    let body: Body = serde_json::from_slice(row.blob(7)).unwrap_or_default();
    let kind = row.int(2);
    let event = |(at_us, name): (i64, Arc<str>)| SpanEvent { at_ns: at_us.saturating_mul(1000), name, ..SpanEvent::default() };
    Span {
        trace_id: row.blob(0).try_into().unwrap_or_default(),
        id: row.blob(1).try_into().unwrap_or_default(),
        parent_id: body.parent_id,
        kind: SpanKind::from_number(kind & !SHARED),
        shared: kind & SHARED != 0,
        debug: body.debug,
        resource: Arc::new(Resource { service: services.get(&row.int(3)).cloned().unwrap_or_default(), ..Resource::default() }),
        name: body.name,
        start_ns: row.int(4).saturating_mul(1000),
        duration_ns: row.int(5).saturating_mul(1000),
        is_error: row.int(6) != 0,
        local: body.local.into(),
        remote: body.remote.map(Endpoint::from),
        attributes: body.tags.into_iter().map(|(name, value)| (name, AttributeValue::Text(value))).collect(),
        events: body.annotations.into_iter().map(event).collect(),
        ..Span::default()
    }
}

/// The table that the old partitions belonged to.
async fn drop_parent<D: Database>(database: &D) -> Result<(), StoreError> {
    let there =
        database.begin_read().await?.fetch("SELECT CAST(1 AS BIGINT) WHERE to_regclass('span') IS NOT NULL", vec![]).await?;
    if there.is_empty() {
        return Ok(());
    }
    let mut transaction = begin_alone(database).await?;
    let left = transaction.fetch("SELECT from_s FROM slice WHERE family = $1", vec![FAMILY.into()]).await?;
    if left.is_empty() {
        transaction.execute("DROP TABLE IF EXISTS span", vec![]).await?;
    }
    transaction.commit().await
}
