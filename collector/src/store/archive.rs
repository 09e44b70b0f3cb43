//! Traces that somebody wants to keep beyond the retention, within bounds.

use super::StoreError;
use super::database::{Database, Value};
use super::span_block::encode;
use super::span_read::trace;
use super::tail::TraceId;

/// How much may be archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    pub traces: u64,
    /// Of the compressed spans.
    pub bytes: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { traces: 10_000, bytes: 1_000_000_000 }
    }
}

/// What became of a trace that was to be archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archived {
    /// It is kept, with this many spans; what was archived of it before is replaced.
    Kept(usize),
    /// Nobody knows it.
    Unknown,
    /// There is no room; nothing is lost to make some.
    Full,
}

/// Keeps a trace with the spans that it has now.
pub(super) async fn archive<D: Database>(
    database: &D,
    trace_id: TraceId,
    limits: ArchiveLimits,
    now_ms: i64,
) -> Result<Archived, StoreError> {
    let spans = trace(database, trace_id).await?;
    if spans.is_empty() {
        return Ok(Archived::Unknown);
    }
    let count = spans.len();
    let blocks = tokio::task::spawn_blocking(move || encode(spans.iter())).await??;
    let bytes: usize = blocks.iter().map(|(block, _)| block.data.len()).sum();
    let mut transaction = database.begin().await?;
    let others = "SELECT COUNT(DISTINCT trace_id), CAST(COALESCE(SUM(length(data)), 0) AS BIGINT) FROM archived_trace \
                  WHERE trace_id <> $1";
    let rows = transaction.fetch(others, vec![id(trace_id)]).await?;
    let (kept, kept_bytes) = rows.first().map_or((0, 0), |row| (row.count(0), row.count(1)));
    if kept >= limits.traces || kept_bytes.saturating_add(bytes as u64) > limits.bytes {
        return Ok(Archived::Full);
    }
    transaction.execute("DELETE FROM archived_trace WHERE trace_id = $1", vec![id(trace_id)]).await?;
    let insert = "INSERT INTO archived_trace (trace_id, part, archived_at_ms, spans, data) VALUES ($1, $2, $3, $4, $5)";
    for (part, (block, _)) in (0i64..).zip(blocks) {
        let values = vec![id(trace_id), part.into(), now_ms.into(), i64::from(block.items).into(), Value::Blob(block.data)];
        transaction.execute(insert, values).await?;
    }
    transaction.commit().await?;
    Ok(Archived::Kept(count))
}

/// What is archived of a trace, as data of blocks.
pub(super) async fn blocks<D: Database>(database: &D, trace_id: TraceId) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT data FROM archived_trace WHERE trace_id = $1 ORDER BY part";
    let rows = database.begin_read().await?.fetch(sql, vec![id(trace_id)]).await?;
    Ok(rows.iter().map(|row| row.blob(0).to_vec()).collect())
}

fn id(trace_id: TraceId) -> Value {
    Value::Blob(trace_id.to_vec())
}
