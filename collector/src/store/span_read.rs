//! Reads names and traces: all spans of one trace, or of several at once.

use std::collections::BTreeMap;

use super::block::{BlockHead, CorruptBlock, LEVEL_SIFTED};
use super::block_read::{BlockReader, HeadQuery};
use super::database::{Database, Value};
use super::schema::Family;
use super::span_block::{SpanColumns, TRACES_BYTES, may_have_trace, unpack};
use super::tail::{TraceId, Verdicts};
use super::{Operation, Span, SpanKind, StoreError, archive};

/// Spans of one trace that are answered; a larger trace is cut.
pub const TRACE_SPANS_MAX: usize = 20_000;

/// Spans of one trace that are gathered before copies are left out.
const GATHERED_MAX: usize = 2 * TRACE_SPANS_MAX;
/// Spans of all traces that are gathered at once.
pub(super) const ALL_GATHERED_MAX: usize = 200_000;

pub(super) async fn services<D: Database>(database: &D) -> Result<Vec<String>, StoreError> {
    names(database, "SELECT name FROM service", vec![]).await
}

pub(super) async fn span_names<D: Database>(database: &D, service: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT operation.name FROM operation JOIN service ON service.service_id = operation.service_id \
               WHERE service.name = $1";
    names(database, sql, vec![service.into()]).await
}

/// Operations of a service by their names, each once per kind of its spans.
pub(super) async fn operations<D: Database>(database: &D, service: &str) -> Result<Vec<Operation>, StoreError> {
    let sql = "SELECT operation.name, operation.kinds FROM operation \
               JOIN service ON service.service_id = operation.service_id WHERE service.name = $1";
    let rows = database.begin_read().await?.fetch(sql, vec![service.into()]).await?;
    let mut operations: Vec<Operation> = rows.iter().flat_map(|row| of_kinds(row.text(0), row.int(1))).collect();
    operations.sort();
    Ok(operations)
}

/// Written before kinds were kept, an operation is of none that is known.
fn of_kinds(name: &str, kinds: i64) -> Vec<Operation> {
    let operation = |kind: Option<SpanKind>| Operation { name: name.to_owned(), kind };
    let known = (0..=5).filter(|kind| kinds & (1 << kind) != 0).map(SpanKind::from_number);
    let known: Vec<Operation> = known.map(|kind| operation(Some(kind).filter(|kind| *kind != SpanKind::Unspecified))).collect();
    if known.is_empty() { vec![operation(None)] } else { known }
}

pub(super) async fn remote_services<D: Database>(database: &D, service: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT remote_service.name FROM remote_service \
               JOIN service ON service.service_id = remote_service.service_id WHERE service.name = $1";
    names(database, sql, vec![service.into()]).await
}

/// Sorted here: Postgres orders by the locale of the database.
async fn names<D: Database>(database: &D, sql: &str, values: Vec<Value>) -> Result<Vec<String>, StoreError> {
    let rows = database.begin_read().await?.fetch(sql, values).await?;
    let mut names: Vec<String> = rows.iter().map(|row| row.text(0).to_owned()).filter(|name| !name.is_empty()).collect();
    names.sort();
    Ok(names)
}

/// Nothing when it was judged out, whether it has left the blocks by now or not.
pub(super) async fn trace<D: Database>(database: &D, trace_id: TraceId) -> Result<Vec<Span>, StoreError> {
    let mut reader = BlockReader::open(database, Family::SpanBlock).await?;
    let mut found = Traces::new(std::iter::once(trace_id));
    // What was archived may have lost its place among the others since, wholly or in part.
    let archived = archive::blocks(database, trace_id).await?;
    // Somebody wanted to keep it, whatever was judged of it.
    let is_archived = !archived.is_empty();
    for data in archived {
        let (read, result) = found.read_data(data).await?;
        if let Err(corrupt) = result {
            database.caches().corrupt_block(Family::SpanBlock, 0, 0, &corrupt);
        }
        found = read;
    }
    let mut unsifted: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let all = HeadQuery::between(i64::MIN, i64::MAX);
    let mut scan = reader.scan(HeadQuery { key: Some(trace_id), summary_bytes: Some(TRACES_BYTES), ..all }).await?;
    while let Some(head) = reader.next(&mut scan).await? {
        if found.is_full() {
            break;
        }
        if found.may_be_in(&head) {
            if head.level != LEVEL_SIFTED {
                let (from_us, to_us) = unsifted.entry(head.slice_s).or_insert((head.from_us, head.to_us));
                (*from_us, *to_us) = ((*from_us).min(head.from_us), (*to_us).max(head.to_us));
            }
            let data = reader.data(&head).await?;
            found = found.read(database, &head, data).await?;
        }
    }
    let spans = found.finish().pop().unwrap_or_default();
    let mut verdicts = Verdicts::default();
    for (slice_s, span_us) in unsifted {
        if !spans.is_empty()
            && !is_archived
            && !verdicts.out(database, &mut reader, slice_s, span_us, &[trace_id]).await?.is_empty()
        {
            return Ok(Vec::new());
        }
    }
    Ok(spans)
}

/// Traces that are being gathered.
pub(super) struct Traces {
    spans: BTreeMap<TraceId, Vec<Span>>,
    order: Vec<TraceId>,
    gathered: usize,
}

impl Traces {
    pub fn new(ids: impl Iterator<Item = TraceId>) -> Self {
        let order: Vec<TraceId> = ids.collect();
        Self { spans: order.iter().map(|id| (*id, Vec::new())).collect(), order, gathered: 0 }
    }

    pub fn may_be_in(&self, head: &BlockHead) -> bool {
        self.spans.keys().any(|id| may_have_trace(&head.summary, id))
    }

    /// Some spans of these traces had no room.
    pub fn is_cut(&self) -> bool {
        self.gathered >= ALL_GATHERED_MAX
    }

    /// No trace takes more spans: somebody may put everything into one.
    pub fn is_full(&self) -> bool {
        self.is_cut() || self.spans.values().all(|spans| spans.len() >= GATHERED_MAX)
    }

    /// Adds the spans of a block; one that cannot be read is skipped.
    pub async fn read<D: Database>(self, database: &D, head: &BlockHead, data: Vec<u8>) -> Result<Self, StoreError> {
        let (traces, result) = self.read_data(data).await?;
        if let Err(corrupt) = result {
            database.caches().corrupt_block(head.family, head.slice_s, head.block_id, &corrupt);
        }
        Ok(traces)
    }

    /// Adds the spans of a block; decoding it is not for the threads that serve.
    async fn read_data(self, data: Vec<u8>) -> Result<(Self, Result<(), CorruptBlock>), StoreError> {
        let read = tokio::task::spawn_blocking(move || {
            let mut traces = self;
            let result = traces.add(&data);
            (traces, result)
        });
        Ok(read.await?)
    }

    fn add(&mut self, data: &[u8]) -> Result<(), CorruptBlock> {
        let raw = unpack(data)?;
        let columns = SpanColumns::read(&raw)?;
        let wanted = columns.rows_of(|id| self.spans.contains_key(id));
        for row in wanted {
            let span = columns.span(row)?;
            if let Some(spans) = self.spans.get_mut(&span.trace_id)
                && spans.len() < GATHERED_MAX
                && self.gathered < ALL_GATHERED_MAX
            {
                self.gathered += 1;
                spans.push(span);
            }
        }
        Ok(())
    }

    /// In the order of the ids, each by start and without copies.
    pub fn finish(mut self) -> Vec<Vec<Span>> {
        let finished = |id: &TraceId| {
            let mut spans = self.spans.remove(id).unwrap_or_default();
            spans.sort_by(|a, b| a.key().cmp(&b.key()));
            spans.dedup_by(|a, b| a.key() == b.key());
            spans.truncate(TRACE_SPANS_MAX);
            spans
        };
        self.order.iter().map(finished).collect()
    }
}
