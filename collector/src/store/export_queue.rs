//! Spans that wait to be sent to another backend: written with the blocks that hold them, deleted when they have arrived.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;

use super::block_read::BlockReader;
use super::database::{Database, Row, Transaction, Value, int};
use super::schema::Family;
use super::span_block::Names;
use super::tail::{TraceId, Verdicts, ready_before};
use super::write::Writing;
use super::{EncodedBlock, StoreError};
use crate::clock;

/// Blocks that one claim takes at most.
const CLAIM_BLOCKS_MAX: i64 = 64;
/// Blocks that one step of [`ExportQueue::trim_to`] drops, and one of [`ExportQueue::expire`].
const TRIM_BLOCKS_MAX: i64 = 256;

/// A block of spans that one collector sends now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedBlock {
    pub id: i64,
    pub items: u64,
    pub queued_at_ms: i64,
    /// Its traces were judged, and those judged out are not to be sent.
    pub is_judged: bool,
    /// As it is stored.
    pub data: Vec<u8>,
}

/// What is asked of the queue.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub exporter: &'static str,
    /// Names the collector.
    pub holder: i64,
    pub now_ms: i64,
    /// Until when nobody else may take the blocks.
    pub until_ms: i64,
    /// Spans that make it worth while; fewer are given out only when some were queued before `overdue_before_ms`.
    pub items: u64,
    pub overdue_before_ms: i64,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    pub blocks: u64,
    pub items: u64,
    pub bytes: u64,
    /// When the oldest block was queued.
    pub oldest_ms: Option<i64>,
}

/// The queue in front of exporters. A block is given out again when the collector that held it is gone: what arrives may
/// arrive twice, but nothing is lost.
#[async_trait]
pub trait ExportQueue: Send + Sync + 'static {
    /// From now on, spans that are stored are queued for these exporters too.
    fn queue_for(&self, exporters: Vec<&'static str>);

    /// Gives out the oldest blocks, those of one request or a little more.
    async fn claim(&self, claim: &Claim) -> Result<Vec<QueuedBlock>, StoreError>;

    /// Holds blocks for longer; the number that are still held.
    async fn renew(&self, holder: i64, ids: &[i64], until_ms: i64) -> Result<u64, StoreError>;

    /// Gives back what could not be sent.
    async fn release(&self, holder: i64, ids: &[i64]) -> Result<(), StoreError>;

    /// Of traces with spans that start at some time (microseconds), those that were judged out.
    async fn judged_out(&self, spans: &[(TraceId, i64)]) -> Result<HashSet<TraceId>, StoreError>;

    /// Deletes what has arrived.
    async fn done(&self, ids: &[i64]) -> Result<(), StoreError>;

    async fn queue_state(&self, exporter: &'static str) -> Result<QueueState, StoreError>;

    /// Drops the oldest blocks that nobody holds until at most `bytes_max` wait; the number of spans dropped.
    async fn trim_to(&self, exporter: &'static str, bytes_max: u64, now_ms: i64) -> Result<u64, StoreError>;

    /// Drops blocks of any exporter that were queued before; spans dropped by exporter.
    async fn expire(&self, before_ms: i64, now_ms: i64) -> Result<Vec<(String, u64)>, StoreError>;

    /// Frees what a process held that no longer runs: for databases that only one collector can have.
    async fn take_over(&self) -> Result<(), StoreError>;
}

#[async_trait]
impl<D: Database> ExportQueue for D {
    fn queue_for(&self, exporters: Vec<&'static str>) {
        self.caches().set_exporters(exporters);
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<QueuedBlock>, StoreError> {
        let waiting = waiting(&mut *self.begin_read().await?, claim).await?;
        let Some(ids) = worth_while(&waiting, claim) else { return Ok(Vec::new()) };
        let mut transaction = self.begin().await?;
        // Another collector may have been quicker: then the row is left out, after a short wait in Postgres.
        let sql = format!(
            "UPDATE export_queue SET leased_until_ms = $1, holder = $2 WHERE queue_id IN ({}) AND leased_until_ms <= $3 \
             RETURNING queue_id, items, queued_at_ms, facts_id, data",
            list(&ids)
        );
        let rows = transaction.fetch(&sql, vec![claim.until_ms.into(), claim.holder.into(), claim.now_ms.into()]).await?;
        transaction.commit().await?;
        let mut blocks: Vec<QueuedBlock> = rows.into_iter().map(block).collect();
        blocks.sort_unstable_by_key(|block| block.id);
        Ok(blocks)
    }

    async fn renew(&self, holder: i64, ids: &[i64], until_ms: i64) -> Result<u64, StoreError> {
        let set = format!("leased_until_ms = {until_ms}");
        update(self, holder, ids, &set).await
    }

    async fn release(&self, holder: i64, ids: &[i64]) -> Result<(), StoreError> {
        update(self, holder, ids, "leased_until_ms = 0, holder = 0").await.map(drop)
    }

    async fn judged_out(&self, spans: &[(TraceId, i64)]) -> Result<HashSet<TraceId>, StoreError> {
        let mut slices: BTreeMap<i64, (i64, i64, HashSet<TraceId>)> = BTreeMap::new();
        for (id, start_us) in spans {
            let slice_s = Family::SpanBlock.slice_at(start_us.div_euclid(1_000_000)).from_s;
            let (from_us, to_us, ids) = slices.entry(slice_s).or_insert((*start_us, *start_us, HashSet::new()));
            (*from_us, *to_us) = ((*from_us).min(*start_us), (*to_us).max(*start_us));
            ids.insert(*id);
        }
        let mut reader = BlockReader::open(self, Family::VerdictBlock).await?;
        let (mut verdicts, mut out) = (Verdicts::default(), HashSet::new());
        for (slice_s, (from_us, to_us, ids)) in slices {
            let ids: Vec<TraceId> = ids.into_iter().collect();
            out.extend(verdicts.out(self, &mut reader, slice_s, (from_us, to_us), &ids).await?.into_keys());
        }
        Ok(out)
    }

    async fn done(&self, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        transaction.execute(&format!("DELETE FROM export_queue WHERE queue_id IN ({})", list(ids)), vec![]).await?;
        transaction.commit().await
    }

    async fn queue_state(&self, exporter: &'static str) -> Result<QueueState, StoreError> {
        let sql = "SELECT COUNT(*), CAST(SUM(items) AS BIGINT), CAST(SUM(bytes) AS BIGINT), MIN(queued_at_ms) \
                   FROM export_queue WHERE exporter = $1";
        let rows = self.begin_read().await?.fetch(sql, vec![exporter.into()]).await?;
        Ok(rows.first().map_or_else(QueueState::default, |row| QueueState {
            blocks: row.count(0),
            items: row.count(1),
            bytes: row.count(2),
            oldest_ms: (row.int(0) > 0).then(|| row.int(3)),
        }))
    }

    async fn trim_to(&self, exporter: &'static str, bytes_max: u64, now_ms: i64) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let too_many = self.queue_state(exporter).await?.bytes.saturating_sub(bytes_max);
            if too_many == 0 {
                return Ok(dropped);
            }
            let sql = "SELECT queue_id, items, bytes FROM export_queue WHERE exporter = $1 AND leased_until_ms <= $2 \
                       ORDER BY queue_id LIMIT $3";
            let mut transaction = self.begin().await?;
            let rows = transaction.fetch(sql, vec![exporter.into(), now_ms.into(), TRIM_BLOCKS_MAX.into()]).await?;
            let mut freed = 0;
            let over = |row: &&Row| {
                let is_needed = freed < too_many;
                freed += row.count(2);
                is_needed
            };
            let ids: Vec<i64> = rows.iter().take_while(over).map(|row| row.int(0)).collect();
            if ids.is_empty() {
                return Ok(dropped);
            }
            dropped += delete_free(&mut *transaction, &ids, now_ms).await?.iter().map(|row| row.count(1)).sum::<u64>();
            transaction.commit().await?;
        }
    }

    async fn expire(&self, before_ms: i64, now_ms: i64) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT queue_id FROM export_queue WHERE queued_at_ms < $1 ORDER BY queue_id LIMIT $2";
        let rows = self.begin_read().await?.fetch(sql, vec![before_ms.into(), TRIM_BLOCKS_MAX.into()]).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = rows.iter().map(|row| row.int(0)).collect();
        let mut transaction = self.begin().await?;
        let gone = delete_free(&mut *transaction, &ids, now_ms).await?;
        transaction.commit().await?;
        let mut spans: BTreeMap<String, u64> = BTreeMap::new();
        for row in &gone {
            *spans.entry(row.text(0).to_owned()).or_default() += row.count(1);
        }
        Ok(spans.into_iter().collect())
    }

    async fn take_over(&self) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let sql = "UPDATE export_queue SET leased_until_ms = 0, holder = 0 WHERE leased_until_ms > 0";
        transaction.execute(sql, vec![]).await?;
        transaction.commit().await
    }
}

impl<D: Database> Writing<'_, D> {
    /// Queues blocks for every exporter, in the transaction that stores them, with the facts that are to be judged first.
    pub(super) async fn queue_for_exporters(
        &mut self,
        blocks: &[(EncodedBlock, Names)],
        facts_id: i64,
    ) -> Result<(), StoreError> {
        let exporters = self.database.caches().exporters();
        let now_ms = clock::now_ms();
        for (block, _) in blocks {
            for exporter in exporters.iter() {
                let sql = "INSERT INTO export_queue (exporter, queued_at_ms, items, bytes, facts_id, data) \
                           VALUES ($1, $2, $3, $4, $5, $6)";
                let values = vec![
                    (*exporter).into(),
                    now_ms.into(),
                    i64::from(block.items).into(),
                    int(block.data.len() as u64),
                    facts_id.into(),
                    Value::Blob(block.data.clone()),
                ];
                self.transaction.execute(sql, values).await?;
            }
        }
        Ok(())
    }
}

/// The oldest blocks that nobody holds, and whose traces are judged where they have to be: id, items, when they were queued.
async fn waiting(transaction: &mut dyn Transaction, claim: &Claim) -> Result<Vec<(i64, u64, i64)>, StoreError> {
    let ready_before = ready_before(transaction, claim.now_ms).await?;
    let sql = "SELECT queue_id, items, queued_at_ms FROM export_queue \
               WHERE exporter = $1 AND leased_until_ms <= $2 AND facts_id < $4 ORDER BY queue_id LIMIT $3";
    let values = vec![claim.exporter.into(), claim.now_ms.into(), CLAIM_BLOCKS_MAX.into(), ready_before.into()];
    let rows = transaction.fetch(sql, values).await?;
    Ok(rows.iter().map(|row| (row.int(0), row.count(1), row.int(2))).collect())
}

/// The blocks of one request: the last one may exceed it.
fn worth_while(waiting: &[(i64, u64, i64)], claim: &Claim) -> Option<Vec<i64>> {
    let mut items = 0;
    let mut ids = Vec::new();
    for (id, count, _) in waiting {
        if items >= claim.items {
            break;
        }
        items += count;
        ids.push(*id);
    }
    let is_overdue = waiting.iter().any(|(_, _, queued_at_ms)| *queued_at_ms < claim.overdue_before_ms);
    let is_full = items >= claim.items || waiting.len() as i64 == CLAIM_BLOCKS_MAX;
    (!ids.is_empty() && (is_full || is_overdue)).then_some(ids)
}

/// Exporter and items of what was deleted.
async fn delete_free(transaction: &mut dyn Transaction, ids: &[i64], now_ms: i64) -> Result<Vec<Row>, StoreError> {
    let sql =
        format!("DELETE FROM export_queue WHERE queue_id IN ({}) AND leased_until_ms <= $1 RETURNING exporter, items", list(ids));
    transaction.fetch(&sql, vec![now_ms.into()]).await
}

async fn update<D: Database>(database: &D, holder: i64, ids: &[i64], set: &str) -> Result<u64, StoreError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let mut transaction = database.begin().await?;
    let sql = format!("UPDATE export_queue SET {set} WHERE holder = {holder} AND queue_id IN ({})", list(ids));
    let changed = transaction.execute(&sql, vec![]).await?;
    transaction.commit().await?;
    Ok(changed)
}

fn block(row: Row) -> QueuedBlock {
    let (id, items, queued_at_ms) = (row.int(0), row.count(1), row.int(2));
    let is_judged = row.int(3) != 0;
    let data = match row.0.into_iter().nth(4) {
        Some(Value::Blob(data)) => data,
        _ => Vec::new(),
    };
    QueuedBlock { id, items, queued_at_ms, is_judged, data }
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
