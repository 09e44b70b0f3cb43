//! Finds spans: by trace, and traces by what one of their spans looks like.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::database::{Database, Row, Transaction, Value};
use super::schema::{Dialect, Family, slices_between};
use super::{Resource, Span, StoreError, TraceQuery};

/// Spans of one trace that are answered; a larger trace is cut.
pub const TRACE_SPANS_MAX: usize = 10_000;
/// Traces of one answer.
const TRACES_MAX: usize = 1_000;
/// Spans that one search reads at a time.
const PAGE: usize = 1_000;
/// Spans that one search looks at before it answers with what it has.
const SEARCHED_MAX: usize = 100_000;

const COLUMNS: &str = "trace_id, span_id, kind, start_us, duration_us, is_error, body, service_id";

pub(super) async fn services<D: Database>(database: &D) -> Result<Vec<String>, StoreError> {
    let rows = database.begin_read().await?.fetch("SELECT name FROM service ORDER BY name", vec![]).await?;
    let mut names: Vec<String> = rows.iter().map(|row| row.text(0).to_owned()).filter(|name| !name.is_empty()).collect();
    // Postgres orders by the locale of the database.
    names.sort();
    Ok(names)
}

pub(super) async fn span_names<D: Database>(database: &D, service: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT operation.name FROM operation JOIN service ON service.service_id = operation.service_id \
               WHERE service.name = $1";
    let rows = database.begin_read().await?.fetch(sql, vec![service.into()]).await?;
    let mut names: Vec<String> = rows.iter().map(|row| row.text(0).to_owned()).filter(|name| !name.is_empty()).collect();
    names.sort();
    Ok(names)
}

pub(super) async fn trace<D: Database>(database: &D, trace_id: [u8; 16]) -> Result<Vec<Span>, StoreError> {
    let mut transaction = database.begin_read().await?;
    let tables = tables::<D>(&mut *transaction, i64::MIN / 2, i64::MAX / 2).await?;
    let services = service_names(&mut *transaction).await?;
    spans_of(&mut *transaction, &tables, trace_id, &services).await
}

/// Newest first.
pub(super) async fn find<D: Database>(database: &D, query: &TraceQuery) -> Result<Vec<Vec<Span>>, StoreError> {
    let mut transaction = database.begin_read().await?;
    let slice_s = Family::Span.slice_s();
    // A trace may reach over the border of a slice, so its neighbours are looked into as well.
    let (from_s, to_s) = (query.from_us.div_euclid(1_000_000), query.to_us.div_euclid(1_000_000) + 1);
    let around = tables::<D>(&mut *transaction, from_s.saturating_sub(slice_s), to_s.saturating_add(slice_s)).await?;
    let searched = tables::<D>(&mut *transaction, from_s, to_s).await?;
    let services = service_names(&mut *transaction).await?;
    let found = find_ids(&mut *transaction, &searched, query, &services).await?;
    let mut traces = Vec::with_capacity(found.len());
    for (trace_id, table) in found {
        let at = around.iter().position(|known| *known == table).unwrap_or(0);
        let near = &around[at.saturating_sub(1)..(at + 2).min(around.len())];
        traces.push(spans_of(&mut *transaction, near, trace_id, &services).await?);
    }
    Ok(traces)
}

/// Tables to look in, newest first.
async fn tables<D: Database>(transaction: &mut dyn Transaction, from_s: i64, to_s: i64) -> Result<Vec<String>, StoreError> {
    if D::DIALECT == Dialect::Postgres {
        return Ok(vec!["span".to_owned()]);
    }
    let slices = slices_between(transaction, Family::Span, from_s, to_s).await?;
    Ok(slices.into_iter().rev().map(super::schema::Slice::table).collect())
}

async fn spans_of(
    transaction: &mut dyn Transaction,
    tables: &[String],
    trace_id: [u8; 16],
    services: &HashMap<i64, String>,
) -> Result<Vec<Span>, StoreError> {
    let mut spans = Vec::new();
    for table in tables {
        let sql = format!("SELECT {COLUMNS} FROM {table} WHERE trace_id = $1 LIMIT {TRACE_SPANS_MAX}");
        let rows = transaction.fetch(&sql, vec![Value::Blob(trace_id.to_vec())]).await?;
        spans.extend(rows.iter().map(|row| span_of(row, services)));
    }
    spans.sort_by_key(|span| (span.start_ns, span.id, span.kind, span.shared));
    spans.truncate(TRACE_SPANS_MAX);
    Ok(spans)
}

async fn service_names(transaction: &mut dyn Transaction) -> Result<HashMap<i64, String>, StoreError> {
    let rows = transaction.fetch("SELECT service_id, name FROM service", vec![]).await?;
    Ok(rows.iter().map(|row| (row.int(0), row.text(1).to_owned())).collect())
}

fn span_of(row: &Row, services: &HashMap<i64, String>) -> Span {
    let mut span = Span {
        trace_id: row.blob(0).try_into().unwrap_or_default(),
        id: row.blob(1).try_into().unwrap_or_default(),
        start_ns: row.int(3).saturating_mul(1000),
        duration_ns: row.int(4).saturating_mul(1000),
        is_error: row.int(5) != 0,
        resource: Arc::new(Resource {
            service: services.get(&row.int(7)).map(|name| Arc::from(name.as_str())).unwrap_or_default(),
            ..Resource::default()
        }),
        ..Span::default()
    };
    span.set_kind(row.int(2));
    span.set_body(row.blob(6));
    span
}

/// Traces in the order of their newest span that matches, with the table that has it.
async fn find_ids(
    transaction: &mut dyn Transaction,
    tables: &[String],
    query: &TraceQuery,
    services: &HashMap<i64, String>,
) -> Result<Vec<([u8; 16], String)>, StoreError> {
    let limit = query.limit.min(TRACES_MAX);
    let Some((conditions, values)) = conditions(transaction, query).await? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut searched = 0;
    for table in tables {
        let mut before: Option<Row> = None;
        while found.len() < limit && searched < SEARCHED_MAX {
            let (sql, values) = page(table, &conditions, values.clone(), before.as_ref());
            let mut rows = transaction.fetch(&sql, values).await?;
            let matching = rows.iter().map(|row| span_of(row, services)).filter(|span| matches(span, query));
            for span in matching {
                if found.len() < limit && seen.insert(span.trace_id) {
                    found.push((span.trace_id, table.clone()));
                }
            }
            searched += rows.len();
            let is_last = rows.len() < PAGE;
            before = rows.pop();
            if is_last {
                break;
            }
        }
    }
    Ok(found)
}

/// The spans that follow the last one of the page before.
fn page(table: &str, conditions: &str, mut values: Vec<Value>, before: Option<&Row>) -> (String, Vec<Value>) {
    let mut sql = format!("SELECT {COLUMNS} FROM {table} WHERE {conditions}");
    if let Some(row) = before {
        let first = values.len() + 1;
        sql.push_str(&format!(" AND (start_us, trace_id, span_id) < (${first}, ${}, ${})", first + 1, first + 2));
        values.extend([Value::Int(row.int(3)), Value::Blob(row.blob(0).to_vec()), Value::Blob(row.blob(1).to_vec())]);
    }
    sql.push_str(&format!(" ORDER BY start_us DESC, trace_id DESC, span_id DESC LIMIT {PAGE}"));
    (sql, values)
}

/// What the columns can decide; `None` when nothing can match.
async fn conditions(transaction: &mut dyn Transaction, query: &TraceQuery) -> Result<Option<(String, Vec<Value>)>, StoreError> {
    let mut sql = String::from("start_us >= $1 AND start_us < $2");
    let mut values = vec![Value::Int(query.from_us), Value::Int(query.to_us)];
    if let Some(service) = &query.service {
        let rows = transaction.fetch("SELECT service_id FROM service WHERE name = $1", vec![service.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        and(&mut sql, &mut values, "service_id =", row.int(0));
    }
    if let Some(name) = &query.name {
        let rows = transaction.fetch("SELECT operation_id FROM operation WHERE name = $1", vec![name.as_str().into()]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let ids: Vec<String> = rows.iter().map(|row| row.int(0).to_string()).collect();
        sql.push_str(&format!(" AND operation_id IN ({})", ids.join(",")));
    }
    if let Some(min) = query.duration_us_min {
        and(&mut sql, &mut values, "duration_us >=", min);
    }
    if let Some(max) = query.duration_us_max {
        and(&mut sql, &mut values, "duration_us <=", max);
    }
    Ok(Some((sql, values)))
}

fn and(sql: &mut String, values: &mut Vec<Value>, condition: &str, value: i64) {
    values.push(Value::Int(value));
    sql.push_str(&format!(" AND {condition} ${}", values.len()));
}

/// What only the body can decide.
fn matches(span: &Span, query: &TraceQuery) -> bool {
    let has = |(name, value): &(String, Option<String>)| match value {
        Some(value) => span.attribute(name).is_some_and(|found| found.to_string() == *value),
        // A failed span is one with the tag `error`, however its protocol says so.
        None if name == "error" && span.is_error => true,
        None => span.attribute(name).is_some() || span.events.iter().any(|event| *event.name == **name),
    };
    query.name.as_ref().is_none_or(|name| *name == span.name)
        && query.remote_service.as_ref().is_none_or(|name| span.remote.as_ref().is_some_and(|remote| *remote.service == **name))
        && query.annotations.iter().all(has)
}
