//! Finds spans: by trace, and traces by what one of their spans looks like.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::database::{Database, Row, Transaction, Value};
use super::schema::{Dialect, Family, slices_between};
use super::{Span, StoreError, TraceQuery};

/// Spans of one trace that are answered; a larger trace is cut.
const TRACE_SPANS_MAX: usize = 10_000;
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
    spans_of(&mut *transaction, &tables, trace_id).await
}

/// Newest first.
pub(super) async fn find<D: Database>(database: &D, query: &TraceQuery) -> Result<Vec<Vec<Span>>, StoreError> {
    let mut transaction = database.begin_read().await?;
    let (from_s, to_s) = (query.from_us.div_euclid(1_000_000), query.to_us.div_euclid(1_000_000) + 1);
    let searched = tables::<D>(&mut *transaction, from_s, to_s).await?;
    let found = find_ids(&mut *transaction, &searched, query).await?;
    // A trace may reach over the border of a slice.
    let tables = tables::<D>(&mut *transaction, from_s - Family::Span.slice_s(), to_s + Family::Span.slice_s()).await?;
    let mut traces = Vec::with_capacity(found.len());
    for trace_id in found {
        traces.push(spans_of(&mut *transaction, &tables, trace_id).await?);
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

async fn spans_of(transaction: &mut dyn Transaction, tables: &[String], trace_id: [u8; 16]) -> Result<Vec<Span>, StoreError> {
    let services = service_names(transaction).await?;
    let mut spans = Vec::new();
    for table in tables {
        let sql = format!("SELECT {COLUMNS} FROM {table} WHERE trace_id = $1 LIMIT {TRACE_SPANS_MAX}");
        let rows = transaction.fetch(&sql, vec![Value::Blob(trace_id.to_vec())]).await?;
        spans.extend(rows.iter().map(|row| span_of(row, &services)));
    }
    spans.sort_by_key(|span| (span.start_us, span.id, span.kind, span.shared));
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
        start_us: row.int(3),
        duration_us: row.int(4),
        is_error: row.int(5) != 0,
        service: services.get(&row.int(7)).cloned().unwrap_or_default(),
        ..Span::default()
    };
    span.set_kind(row.int(2));
    span.set_body(row.blob(6));
    span
}

/// Traces in the order of their newest span that matches.
async fn find_ids(transaction: &mut dyn Transaction, tables: &[String], query: &TraceQuery) -> Result<Vec<[u8; 16]>, StoreError> {
    let limit = query.limit.min(TRACES_MAX);
    let services = service_names(transaction).await?;
    let Some((conditions, values)) = conditions(transaction, query).await? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut searched = 0;
    for table in tables {
        let mut offset = 0;
        while found.len() < limit && searched < SEARCHED_MAX {
            let sql = format!(
                "SELECT {COLUMNS} FROM {table} WHERE {conditions} ORDER BY start_us DESC, trace_id, span_id LIMIT {PAGE} OFFSET {offset}"
            );
            let rows = transaction.fetch(&sql, values.clone()).await?;
            let matching = rows.iter().map(|row| span_of(row, &services)).filter(|span| matches(span, query));
            for span in matching {
                if found.len() < limit && seen.insert(span.trace_id) {
                    found.push(span.trace_id);
                }
            }
            searched += rows.len();
            offset += PAGE;
            if rows.len() < PAGE {
                break;
            }
        }
    }
    Ok(found)
}

/// What the columns can decide; `None` when nothing can match.
async fn conditions(transaction: &mut dyn Transaction, query: &TraceQuery) -> Result<Option<(String, Vec<Value>)>, StoreError> {
    let mut sql = String::from("start_us >= $1 AND start_us < $2");
    let mut values = vec![Value::Int(query.from_us), Value::Int(query.to_us)];
    let mut add = |condition: &str, value: i64| {
        values.push(Value::Int(value));
        sql.push_str(&format!(" AND {condition} ${}", values.len()));
    };
    if let Some(service) = &query.service {
        let rows = transaction.fetch("SELECT service_id FROM service WHERE name = $1", vec![service.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        add("service_id =", row.int(0));
    }
    if let Some(min) = query.duration_us_min {
        add("duration_us >=", min);
    }
    if let Some(max) = query.duration_us_max {
        add("duration_us <=", max);
    }
    Ok(Some((sql, values)))
}

/// What only the body can decide.
fn matches(span: &Span, query: &TraceQuery) -> bool {
    let tags: BTreeMap<&str, &str> = span.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let has = |(name, value): &(String, Option<String>)| match value {
        Some(value) => tags.get(name.as_str()) == Some(&value.as_str()),
        None => tags.contains_key(name.as_str()) || span.annotations.iter().any(|(_, text)| text == name),
    };
    query.name.as_ref().is_none_or(|name| *name == span.name)
        && query.remote_service.as_ref().is_none_or(|name| span.remote.as_ref().is_some_and(|remote| remote.service == *name))
        && query.annotations.iter().all(has)
}
