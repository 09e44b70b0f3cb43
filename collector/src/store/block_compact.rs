//! Merges small blocks into dense ones, one merge at a time: a crash leaves the old blocks or the new ones.

use std::sync::Arc;

use tracing::debug;

use super::block::{Compact, EncodedBlock, LEVEL_CORRUPT, LEVEL_DENSE, LEVEL_MERGED, LEVEL_WRITTEN, StoredBlock};
use super::block_read::{length, table};
use super::database::{Database, Row, Transaction};
use super::sample::compact::SampleCompact;
use super::schema::{Slice, slices_between};
use super::span_block::SpanCompact;
use super::{LogCompact, Store, StoreError, VerdictCompact, block_write};

/// Blocks that one merge takes.
pub(super) const BLOCKS_MAX: usize = 512;
/// Compressed bytes that one merge takes, unless two blocks alone have more.
pub(super) const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long after its end a slice is taken for complete.
pub(super) const LATE_S: i64 = 300;

/// What one merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Blocks that went.
    pub from: usize,
    /// Blocks that came.
    pub into: usize,
}

/// How the blocks of a store are merged: one for each of [`Family::BLOCKS`](super::Family::BLOCKS).
pub async fn compacts(store: &dyn Store) -> Result<[Arc<dyn Compact>; 4], StoreError> {
    let samples = SampleCompact::new(store.series_index().await?);
    Ok([Arc::new(SpanCompact), Arc::new(LogCompact), Arc::new(samples), Arc::new(VerdictCompact)])
}

/// Blocks of one shard, or of all, that may be merged.
#[derive(Default)]
struct Small {
    shard: Option<i64>,
    blocks: usize,
    written_blocks: usize,
    written_items: u64,
}

impl Small {
    fn is_due(&self, how: &dyn Compact, is_closed: bool) -> bool {
        let is_many = self.written_blocks >= how.due_blocks() || self.written_items >= how.merge_items() / 2;
        self.blocks > 1 && (is_closed || is_many)
    }
}

/// The first merge that is due, oldest slice first; `None` when there is none.
pub(super) async fn once<D: Database>(database: &D, how: &Arc<dyn Compact>, now_ms: i64) -> Result<Option<Merged>, StoreError> {
    let family = how.family();
    let slices = slices_between(&mut *database.begin_read().await?, family, i64::MIN, i64::MAX).await?;
    for slice in slices {
        let is_closed = slice.to_s() + LATE_S < now_ms / 1000;
        if database.caches().is_merged(slice) {
            continue;
        }
        let small = small_blocks(database, slice, how.by_shard()).await?;
        match small.iter().find(|small| small.is_due(&**how, is_closed)) {
            Some(small) => return merge(database, how, slice, small.shard, is_closed).await.map(Some),
            None if is_closed => database.caches().set_merged(slice),
            None => {}
        }
    }
    Ok(None)
}

async fn small_blocks<D: Database>(database: &D, slice: Slice, by_shard: bool) -> Result<Vec<Small>, StoreError> {
    let sql = format!(
        "SELECT shard, COUNT(*), CAST(SUM(CASE WHEN level = {LEVEL_WRITTEN} THEN 1 ELSE 0 END) AS BIGINT), \
         CAST(SUM(CASE WHEN level = {LEVEL_WRITTEN} THEN items ELSE 0 END) AS BIGINT) FROM {} \
         WHERE slice_s = $1 AND level < {LEVEL_DENSE} GROUP BY shard ORDER BY shard",
        table(D::DIALECT, slice)
    );
    let rows = database.begin_read().await?.fetch(&sql, vec![slice.from_s.into()]).await?;
    let small = |row: &Row| Small {
        shard: Some(row.int(0)),
        blocks: row.count(1) as usize,
        written_blocks: row.count(2) as usize,
        written_items: row.count(3),
    };
    let shards = rows.iter().map(small);
    if by_shard {
        return Ok(shards.collect());
    }
    Ok(vec![shards.fold(Small::default(), |mut sum, shard| {
        sum.blocks += shard.blocks;
        sum.written_blocks += shard.written_blocks;
        sum.written_items += shard.written_items;
        sum
    })])
}

async fn merge<D: Database>(
    database: &D,
    how: &Arc<dyn Compact>,
    slice: Slice,
    shard: Option<i64>,
    is_closed: bool,
) -> Result<Merged, StoreError> {
    let blocks = Arc::new(load(database, &**how, slice, shard).await?);
    if blocks.len() < 2 {
        // Another collector merged them meanwhile.
        return Ok(Merged::default());
    }
    let (merging, merged) = (Arc::clone(how), Arc::clone(&blocks));
    match tokio::task::spawn_blocking(move || merging.merge(&merged)).await? {
        Ok(dense) => {
            let is_replaced = replace(database, slice, &blocks, &dense, how.dense_items(), is_closed).await?;
            if !is_replaced {
                debug!(?slice, "another collector merged the same blocks");
            }
            Ok(if is_replaced { Merged { from: blocks.len(), into: dense.len() } } else { Merged::default() })
        }
        Err((place, corrupt)) => {
            let block_id = blocks.get(place).map_or(0, |block| block.block_id);
            database.caches().corrupt_block(slice.family, slice.from_s, block_id, &corrupt);
            set_aside(database, slice, block_id).await?;
            Ok(Merged::default())
        }
    }
}

/// What was written first, as much of it as one merge takes, and then what was merged and is still small.
async fn load<D: Database>(
    database: &D,
    how: &dyn Compact,
    slice: Slice,
    shard: Option<i64>,
) -> Result<Vec<StoredBlock>, StoreError> {
    let mut transaction = database.begin_read().await?;
    let table = table(D::DIALECT, slice);
    let of_shard = shard.map_or_else(String::new, |shard| format!("AND shard = {shard} "));
    let sql = format!(
        "SELECT block_id, items, {} FROM {table} WHERE slice_s = $1 AND level < {LEVEL_DENSE} {of_shard}\
         ORDER BY level, block_id LIMIT {BLOCKS_MAX}",
        length(D::DIALECT)
    );
    let rows = transaction.fetch(&sql, vec![slice.from_s.into()]).await?;
    let (mut ids, mut items, mut bytes) = (Vec::new(), 0, 0);
    for row in &rows {
        items += row.count(1);
        bytes += row.count(2);
        if ids.len() >= 2 && (items > how.merge_items() || bytes > BYTES_MAX) {
            break;
        }
        ids.push(row.int(0));
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    ids.sort_unstable();
    let sql = format!(
        "SELECT block_id, shard, level, from_us, to_us, items, summary, data FROM {table} \
         WHERE slice_s = $1 AND block_id IN ({}) ORDER BY block_id",
        list(&ids)
    );
    let rows = transaction.fetch(&sql, vec![slice.from_s.into()]).await?;
    Ok(rows.iter().map(|row| stored(row, slice)).collect())
}

/// Of a row with id, shard, level, times, items, summary and data.
pub(super) fn stored(row: &Row, slice: Slice) -> StoredBlock {
    let Slice { family, from_s } = slice;
    StoredBlock {
        block_id: row.int(0),
        level: u8::try_from(row.int(2)).unwrap_or(u8::MAX),
        block: EncodedBlock {
            family,
            slice_s: from_s,
            shard: row.int(1),
            from_us: row.int(3),
            to_us: row.int(4),
            items: u32::try_from(row.int(5)).unwrap_or(u32::MAX),
            summary: row.blob(6).to_vec(),
            data: row.blob(7).to_vec(),
        },
    }
}

pub(super) fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

/// False, and nothing is changed, when some of the old blocks are gone.
async fn replace<D: Database>(
    database: &D,
    slice: Slice,
    old: &[StoredBlock],
    new: &[EncodedBlock],
    dense_items: u32,
    is_closed: bool,
) -> Result<bool, StoreError> {
    // Nothing comes after the last merge of a slice, so that it is the last one whatever its result.
    let level = |block: &EncodedBlock| if is_closed || block.items >= dense_items { LEVEL_DENSE } else { LEVEL_MERGED };
    let mut transaction = database.begin().await?;
    // The new ones first: SQLite gives an id that was deleted to the next row.
    block_write::insert::<D>(&mut *transaction, new.iter().map(|block| (level(block), block))).await?;
    let ids: Vec<i64> = old.iter().map(|block| block.block_id).collect();
    let sql = format!("DELETE FROM {} WHERE slice_s = $1 AND block_id IN ({})", table(D::DIALECT, slice), list(&ids));
    if transaction.execute(&sql, vec![slice.from_s.into()]).await? != old.len() as u64 {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

/// Merges leave a block alone that they could not read.
pub(super) async fn set_aside<D: Database>(database: &D, slice: Slice, block_id: i64) -> Result<(), StoreError> {
    let mut transaction: Box<dyn Transaction> = database.begin().await?;
    let sql = format!("UPDATE {} SET level = {LEVEL_CORRUPT} WHERE slice_s = $1 AND block_id = $2", table(D::DIALECT, slice));
    transaction.execute(&sql, vec![slice.from_s.into(), block_id.into()]).await?;
    transaction.commit().await
}
