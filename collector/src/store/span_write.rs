//! Makes blocks of the spans of a group, and remembers the names that they are found by.

use std::collections::HashSet;
use std::sync::Arc;

use super::StoreError;
use super::batch::WriteBatch;
use super::block::{EncodedBlock, LEVEL_DENSE, LEVEL_WRITTEN};
use super::database::{Database, Value};
use super::schema::Dialect;
use super::span::Span;
use super::span_block::{DENSE_ITEMS, Names, ServiceNames, encode};
use super::tail::{PackedFacts, SpanWatch, pack_spans};
use super::write::Writing;

/// Services whose spans are listed; those beyond are only found by who knows them.
const SERVICES_MAX: i64 = 10_000;
/// Names of spans that are listed of one service: some put ids into them.
const OPERATIONS_MAX: i64 = 1_000;
/// Services at the other end that are listed of one service.
const REMOTES_MAX: i64 = 1_000;
/// Spans up to this many are encoded where they are; more would hold up everybody else on the thread.
const INLINE_SPANS_MAX: usize = 256;

/// The spans of a group as they are stored.
#[derive(Default)]
pub(super) struct EncodedSpans {
    pub blocks: Vec<(EncodedBlock, Names)>,
    /// What the judge of traces has to know of them; nothing without tail sampling.
    pub facts: Option<PackedFacts>,
}

/// Encodes the spans of a group, without those of the batches that are repeated.
pub(super) async fn encoded<D: Database>(
    database: &D,
    group: &Arc<Vec<WriteBatch>>,
    repeated: &HashSet<usize>,
) -> Result<EncodedSpans, StoreError> {
    let watch = database.caches().watch();
    let count: usize = group.iter().flat_map(|batch| &batch.spans).map(|(_, spans)| spans.len()).sum();
    if count <= INLINE_SPANS_MAX {
        return Ok(encode_group(group, repeated, watch.as_deref())?);
    }
    let (group, repeated) = (Arc::clone(group), repeated.clone());
    Ok(tokio::task::spawn_blocking(move || encode_group(&group, &repeated, watch.as_deref())).await??)
}

fn encode_group(group: &[WriteBatch], repeated: &HashSet<usize>, watch: Option<&dyn SpanWatch>) -> std::io::Result<EncodedSpans> {
    let fresh = group.iter().enumerate().filter(|(place, _)| !repeated.contains(place));
    let mut spans: Vec<&Span> = fresh.flat_map(|(_, batch)| &batch.spans).flat_map(|(_, spans)| spans).collect();
    if spans.len() >= DENSE_ITEMS as usize {
        // As a merge would leave them, since none comes behind.
        spans.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
    }
    let facts = watch.map(|watch| pack_spans(spans.iter().copied(), watch)).transpose()?.flatten();
    Ok(EncodedSpans { blocks: encode(spans.into_iter())?, facts })
}

/// Under load a group fills blocks by itself: reading and writing those again would win nothing.
pub(super) fn level(block: &EncodedBlock) -> u8 {
    if block.items >= DENSE_ITEMS { LEVEL_DENSE } else { LEVEL_WRITTEN }
}

/// Keeps names at least as long as the slice of a block that has them.
pub(super) async fn remember_names<D: Database>(
    writing: &mut Writing<'_, D>,
    names: &Names,
    until_s: i64,
) -> Result<(), StoreError> {
    for (service, ServiceNames { operations, remotes }) in names {
        let Some(service_id) = service_id(writing, service, until_s).await? else { continue };
        for (operation, kinds) in operations {
            remember_operation(writing, service_id, operation, *kinds, until_s).await?;
        }
        for remote in remotes {
            remember_remote(writing, service_id, remote, until_s).await?;
        }
    }
    Ok(())
}

/// `None` when there are too many services.
async fn service_id<D: Database>(writing: &mut Writing<'_, D>, name: &str, until_s: i64) -> Result<Option<i64>, StoreError> {
    let learnt = writing.learnt.names.services.get(name).copied();
    let known = learnt.or_else(|| writing.database.caches().service(name));
    if let Some((id, _)) = known.filter(|(_, kept_until_s)| *kept_until_s >= until_s) {
        return Ok((id != NOT_LISTED).then_some(id));
    }
    let update = format!(
        "UPDATE service SET kept_until_s = {} WHERE name = $1 RETURNING service_id",
        greatest(D::DIALECT, "kept_until_s")
    );
    let insert = format!(
        "INSERT INTO service (name, kept_until_s) SELECT $1, $2 WHERE (SELECT COUNT(*) FROM service) < {SERVICES_MAX} \
         ON CONFLICT (name) DO UPDATE SET kept_until_s = excluded.kept_until_s RETURNING service_id"
    );
    let mut id = None;
    for sql in [update, insert] {
        if id.is_none() {
            let rows = writing.transaction.fetch(&sql, vec![name.into(), until_s.into()]).await?;
            id = rows.first().map(|row| row.int(0));
        }
    }
    writing.learnt.names.services.insert(name.to_owned(), (id.unwrap_or(NOT_LISTED), until_s));
    Ok(id)
}

/// Stands for the id of a service that is not listed.
const NOT_LISTED: i64 = 0;

async fn remember_operation<D: Database>(
    writing: &mut Writing<'_, D>,
    service_id: i64,
    name: &str,
    kinds: u8,
    until_s: i64,
) -> Result<(), StoreError> {
    let key = (service_id, name.to_owned());
    let learnt = writing.learnt.names.operations.get(&key).copied();
    let known = learnt.or_else(|| writing.database.caches().operation(&key));
    let is_kept = |(kept_until_s, known): (i64, u8)| kept_until_s >= until_s && kinds & !known == 0;
    if known.is_some_and(is_kept) || writing.is_full(service_id) {
        return Ok(());
    }
    let kinds = kinds | known.map_or(0, |(_, known)| known);
    let values = || -> Vec<Value> { vec![service_id.into(), name.into(), until_s.into(), i64::from(kinds).into()] };
    let update = format!(
        "UPDATE operation SET kept_until_s = {}, kinds = kinds | $4 WHERE service_id = $1 AND name = $2",
        greatest(D::DIALECT, "kept_until_s").replace("$2", "$3")
    );
    let mut changed = writing.transaction.execute(&update, values()).await?;
    if changed == 0 {
        let insert = format!(
            "INSERT INTO operation (service_id, name, kept_until_s, kinds) SELECT $1, $2, $3, $4 \
             WHERE (SELECT COUNT(*) FROM operation WHERE service_id = $1) < {OPERATIONS_MAX} \
             ON CONFLICT (service_id, name) DO UPDATE SET kept_until_s = excluded.kept_until_s, \
             kinds = operation.kinds | excluded.kinds"
        );
        changed = writing.transaction.execute(&insert, values()).await?;
    }
    if changed == 0 {
        writing.learnt.names.full.insert(service_id);
    } else {
        writing.learnt.names.operations.insert(key, (until_s, kinds));
    }
    Ok(())
}

/// Beyond the limit, services are only found by who knows them.
async fn remember_remote<D: Database>(
    writing: &mut Writing<'_, D>,
    service_id: i64,
    name: &str,
    until_s: i64,
) -> Result<(), StoreError> {
    let key = (service_id, name.to_owned());
    let learnt = writing.learnt.names.remotes.get(&key).copied();
    if learnt.or_else(|| writing.database.caches().remote(&key)).is_some_and(|kept_until_s| kept_until_s >= until_s) {
        return Ok(());
    }
    let insert = format!(
        "INSERT INTO remote_service (service_id, name, kept_until_s) SELECT $1, $2, $3 \
         WHERE (SELECT COUNT(*) FROM remote_service WHERE service_id = $1) < {REMOTES_MAX} \
         OR EXISTS (SELECT 1 FROM remote_service WHERE service_id = $1 AND name = $2) \
         ON CONFLICT (service_id, name) DO UPDATE SET kept_until_s = \
         CASE WHEN remote_service.kept_until_s > excluded.kept_until_s THEN remote_service.kept_until_s \
         ELSE excluded.kept_until_s END"
    );
    writing.transaction.execute(&insert, vec![service_id.into(), name.into(), until_s.into()]).await?;
    // What had no room is not tried again before the time that it would have been kept.
    writing.learnt.names.remotes.insert(key, until_s);
    Ok(())
}

impl<D: Database> Writing<'_, D> {
    fn is_full(&self, service_id: i64) -> bool {
        self.learnt.names.full.contains(&service_id) || self.database.caches().is_full(service_id)
    }
}

/// The larger of the column and the second parameter.
fn greatest(dialect: Dialect, column: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("max({column}, $2)"),
        Dialect::Postgres => format!("greatest({column}, $2)"),
    }
}
