//! Writes spans into the slices of their time, with the names they are found by.

use std::collections::BTreeMap;

use super::database::{Database, Value};
use super::schema::{Dialect, Family, Slice};
use super::write::Writing;
use super::{Span, StoreError, bulk};

const COLUMNS: &str = "(trace_id, span_id, kind, service_id, start_us, duration_us, operation_id, is_error, body)";

/// Stores the spans that are not there yet and returns how many those are.
pub(super) async fn insert<D: Database>(writing: &mut Writing<'_, D>, spans: &[Span]) -> Result<u64, StoreError> {
    let mut slices: BTreeMap<Slice, Vec<Value>> = BTreeMap::new();
    for span in spans {
        let slice = slice_of(span);
        let service_id = service_id(writing, span.service(), slice.to_s()).await?;
        let operation_id = operation_id(writing, service_id, &span.name, slice.to_s()).await?;
        slices.entry(slice).or_default().extend([
            Value::Blob(span.trace_id.to_vec()),
            Value::Blob(span.id.to_vec()),
            span.kind_number().into(),
            service_id.into(),
            span.start_us().into(),
            span.duration_us().into(),
            operation_id.into(),
            i64::from(span.is_error).into(),
            Value::Blob(span.body()),
        ]);
    }
    let mut inserted = 0;
    for (slice, values) in slices {
        let into = format!("{} {COLUMNS}", slice.table());
        inserted += bulk::insert(D::DIALECT, &mut *writing.transaction, &into, "ON CONFLICT DO NOTHING", 9, values).await?;
    }
    Ok(inserted)
}

/// The slice that a span belongs to.
pub(super) fn slice_of(span: &Span) -> Slice {
    Family::Span.slice_at(span.start_ns.div_euclid(1_000_000_000))
}

async fn service_id<D: Database>(writing: &mut Writing<'_, D>, name: &str, until_s: i64) -> Result<i64, StoreError> {
    let learnt = writing.learnt.names.services.get(name).copied();
    if let Some(id) = current(learnt.or_else(|| writing.database.caches().service(name)), until_s) {
        return Ok(id);
    }
    let sql = format!(
        "INSERT INTO service (name, kept_until_s) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET \
         kept_until_s = {} RETURNING service_id",
        greatest(D::DIALECT, "service.kept_until_s", "excluded.kept_until_s")
    );
    let id = writing.id(&sql, vec![name.into(), until_s.into()]).await?;
    writing.learnt.names.services.insert(name.to_owned(), (id, until_s));
    Ok(id)
}

async fn operation_id<D: Database>(
    writing: &mut Writing<'_, D>,
    service_id: i64,
    name: &str,
    until_s: i64,
) -> Result<i64, StoreError> {
    let key = (service_id, name.to_owned());
    let learnt = writing.learnt.names.operations.get(&key).copied();
    if let Some(id) = current(learnt.or_else(|| writing.database.caches().operation(&key)), until_s) {
        return Ok(id);
    }
    let sql = format!(
        "INSERT INTO operation (service_id, name, kept_until_s) VALUES ($1, $2, $3) \
         ON CONFLICT (service_id, name) DO UPDATE SET kept_until_s = {} RETURNING operation_id",
        greatest(D::DIALECT, "operation.kept_until_s", "excluded.kept_until_s")
    );
    let id = writing.id(&sql, vec![service_id.into(), name.into(), until_s.into()]).await?;
    writing.learnt.names.operations.insert(key, (id, until_s));
    Ok(id)
}

/// The id, unless the name has to be kept longer than is written down.
fn current(known: Option<(i64, i64)>, until_s: i64) -> Option<i64> {
    known.filter(|(_, kept_until_s)| *kept_until_s >= until_s).map(|(id, _)| id)
}

fn greatest(dialect: Dialect, a: &str, b: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("max({a}, {b})"),
        Dialect::Postgres => format!("greatest({a}, {b})"),
    }
}
