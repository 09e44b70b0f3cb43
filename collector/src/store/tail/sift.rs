//! Sifts blocks of spans: those of several go into one, without the traces that were judged out. A crash leaves the old blocks
//! or the new ones.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::super::batch::Counts;
use super::super::block::{CorruptBlock, EncodedBlock, LEVEL_DENSE, LEVEL_SIFTED, StoredBlock};
use super::super::block_compact::{BLOCKS_MAX, BYTES_MAX, LATE_S, list, set_aside, stored};
use super::super::block_read::{BlockReader, length, table};
use super::super::database::{Database, Row};
use super::super::retention::drop_one;
use super::super::schema::{Family, Slice, slices_between};
use super::super::span::Span;
use super::super::span_block::{SPANS_MAX, SpanColumns, encode, unpack};
use super::super::{StoreError, block_write, write};
use super::lookup::Verdicts;
use super::{IsWaiting, SpansOut, TraceId};

/// Dense blocks of a slice that is still written to from which on they are sifted: fewer would make small ones.
const DUE_BLOCKS: usize = 16;
/// Or so many compressed bytes of them.
const DUE_BYTES: u64 = 8 * 1024 * 1024;
/// Spans that one turn keeps, unless one block alone has more: they are all in memory at once.
const KEPT_MAX: usize = 2 * SPANS_MAX;
/// How long after its end a slice has verdicts: spans that arrive later are judged by themselves.
const VERDICTS_KEPT_S: i64 = 2 * 3600;
/// The door of `GET /api/ingest` that counts what was sifted.
const DOOR: &str = "tail_sampling";

/// Blocks that were read to be sifted.
pub struct Sieve {
    slice: Slice,
    blocks: Vec<StoredBlock>,
}

/// What one turn did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Blocks that went, and that came.
    pub from: usize,
    pub into: usize,
    pub kept: u64,
    pub out: SpansOut,
    /// Blocks that have a trace that is not judged yet.
    pub waiting: usize,
}

/// Of the oldest slice that has enough of them.
pub(super) async fn candidates<D: Database>(database: &D, now_ms: i64, quiet_ms: i64) -> Result<Option<Sieve>, StoreError> {
    let slices = slices_between(&mut *database.begin_read().await?, Family::SpanBlock, i64::MIN, i64::MAX).await?;
    for slice in slices {
        let is_closed = slice.to_s() + LATE_S < now_ms / 1000;
        // What is small is merged first.
        if database.caches().is_sifted(slice) || (is_closed && !database.caches().is_merged(slice)) {
            continue;
        }
        let (ids, bytes) = ready(database, slice, is_closed, quiet_ms).await?;
        if ids.is_empty() && is_closed {
            database.caches().set_sifted(slice);
            forget_verdicts(database, slice, now_ms).await?;
        } else if !ids.is_empty() && (is_closed || ids.len() >= DUE_BLOCKS || bytes >= DUE_BYTES) {
            let blocks = load(database, slice, &ids).await?;
            return Ok(Some(Sieve { slice, blocks }));
        }
    }
    Ok(None)
}

/// As many of them as one turn takes, and their bytes.
async fn ready<D: Database>(database: &D, slice: Slice, is_closed: bool, quiet_ms: i64) -> Result<(Vec<i64>, u64), StoreError> {
    let which = if is_closed { format!("level <= {LEVEL_DENSE}") } else { format!("level = {LEVEL_DENSE} AND to_us < $2") };
    let sql = format!(
        "SELECT block_id, {} FROM {} WHERE slice_s = $1 AND {which} ORDER BY block_id LIMIT {BLOCKS_MAX}",
        length(D::DIALECT),
        table(D::DIALECT, slice)
    );
    let mut values = vec![slice.from_s.into()];
    if !is_closed {
        values.push(quiet_ms.saturating_mul(1000).into());
    }
    let rows = database.begin_read().await?.fetch(&sql, values).await?;
    let mut bytes = 0;
    let fits = |row: &&Row| {
        let is_first = bytes == 0;
        bytes += row.count(1);
        is_first || bytes <= BYTES_MAX
    };
    let ids = rows.iter().take_while(fits).map(|row| row.int(0)).collect();
    Ok((ids, bytes))
}

async fn load<D: Database>(database: &D, slice: Slice, ids: &[i64]) -> Result<Vec<StoredBlock>, StoreError> {
    let sql = format!(
        "SELECT block_id, shard, level, from_us, to_us, items, summary, data FROM {} \
         WHERE slice_s = $1 AND block_id IN ({}) ORDER BY block_id",
        table(D::DIALECT, slice),
        list(ids)
    );
    let rows = database.begin_read().await?.fetch(&sql, vec![slice.from_s.into()]).await?;
    Ok(rows.iter().map(|row| stored(row, slice)).collect())
}

/// Nothing is left that they could be needed for.
async fn forget_verdicts<D: Database>(database: &D, slice: Slice, now_ms: i64) -> Result<(), StoreError> {
    let mut transaction = database.begin_read().await?;
    // Exporters that are behind look them up as well.
    let sql = "SELECT COALESCE(MIN(queued_at_ms), $1) FROM export_queue WHERE facts_id > 0";
    let waiting_ms = transaction.fetch(sql, vec![now_ms.into()]).await?.first().map_or(now_ms, |row| row.int(0));
    if slice.to_s() + VERDICTS_KEPT_S > now_ms.min(waiting_ms) / 1000 {
        return Ok(());
    }
    let old = slices_between(&mut *transaction, Family::VerdictBlock, slice.from_s, slice.to_s()).await?;
    drop(transaction);
    for slice in old {
        drop_one(database, slice).await?;
    }
    Ok(())
}

pub(super) async fn sift<D: Database>(database: &D, sieve: Sieve, is_waiting: &IsWaiting<'_>) -> Result<Sifted, StoreError> {
    let Sieve { slice, blocks } = sieve;
    let (blocks, ids) = tokio::task::spawn_blocking(move || {
        let ids: Vec<_> = blocks.iter().map(|stored| trace_ids(&stored.block.data)).collect();
        (blocks, ids)
    })
    .await?;
    let mut sifted = Sifted::default();
    let (mut judged, mut traces) = (Vec::new(), HashSet::new());
    for (stored, ids) in blocks.into_iter().zip(ids) {
        match ids {
            Ok(ids) if ids.iter().any(is_waiting) => sifted.waiting += 1,
            Ok(ids) => {
                traces.extend(ids);
                judged.push(stored);
            }
            Err(corrupt) => {
                database.caches().corrupt_block(slice.family, slice.from_s, stored.block_id, &corrupt);
                set_aside(database, slice, stored.block_id).await?;
            }
        }
    }
    let (Some(from_us), Some(to_us)) =
        (judged.iter().map(|stored| stored.block.from_us).min(), judged.iter().map(|stored| stored.block.to_us).max())
    else {
        return Ok(sifted);
    };
    let traces: Vec<TraceId> = traces.into_iter().collect();
    let mut reader = BlockReader::open(database, Family::SpanBlock).await?;
    let out = Verdicts::default().out(database, &mut reader, slice.from_s, (from_us, to_us), &traces).await?;
    drop(reader);
    let turn = tokio::task::spawn_blocking(move || turn(judged, &out)).await??;
    sifted.kept = turn.kept;
    sifted.out = turn.out;
    (sifted.from, sifted.into) = (turn.old.len(), turn.new.as_ref().map_or(turn.old.len(), Vec::len));
    if !replace(database, slice, &turn.old, turn.new.as_deref(), &sifted).await? {
        // A merge or another collector was quicker.
        return Ok(Sifted { waiting: sifted.waiting, ..Sifted::default() });
    }
    Ok(sifted)
}

fn trace_ids(data: &[u8]) -> Result<HashSet<TraceId>, CorruptBlock> {
    let raw = unpack(data)?;
    let columns = SpanColumns::read(&raw)?;
    (0..columns.len()).map(|row| columns.trace_id(row)).collect()
}

/// What one turn makes of the blocks that it takes.
struct Turn {
    old: Vec<i64>,
    /// `None`: the old ones stay as they are, because nothing goes out.
    new: Option<Vec<EncodedBlock>>,
    kept: u64,
    out: SpansOut,
}

fn turn(blocks: Vec<StoredBlock>, out: &HashMap<TraceId, Arc<str>>) -> Result<Turn, StoreError> {
    let mut turn = Turn { old: Vec::new(), new: None, kept: 0, out: BTreeMap::new() };
    if out.is_empty() {
        turn.old = blocks.iter().map(|stored| stored.block_id).collect();
        turn.kept = blocks.iter().map(|stored| u64::from(stored.block.items)).sum();
        return Ok(turn);
    }
    let mut spans: Vec<Span> = Vec::new();
    for stored in &blocks {
        if spans.len() >= KEPT_MAX {
            break;
        }
        // It was read before.
        let kept = kept(&stored.block.data, out, &mut turn.out).map_err(|error| std::io::Error::other(error.to_string()))?;
        spans.extend(kept);
        turn.old.push(stored.block_id);
    }
    // References: a span is large to move about.
    let mut sorted: Vec<&Span> = spans.iter().collect();
    sorted.sort_by(|a, b| a.key().cmp(&b.key()));
    sorted.dedup_by(|a, b| a.key() == b.key());
    turn.kept = sorted.len() as u64;
    turn.new = Some(encode(sorted.into_iter())?.into_iter().map(|(block, _)| block).collect());
    Ok(turn)
}

fn kept(data: &[u8], out: &HashMap<TraceId, Arc<str>>, counts: &mut SpansOut) -> Result<Vec<Span>, CorruptBlock> {
    let raw = unpack(data)?;
    let columns = SpanColumns::read(&raw)?;
    let mut kept = Vec::new();
    for row in 0..columns.len() {
        match out.get(&columns.trace_id(row)?) {
            Some(rule) => *counts.entry(Arc::clone(rule)).or_default() += 1,
            None => kept.push(columns.span(row)?),
        }
    }
    Ok(kept)
}

/// False, and nothing is changed, when some of the old blocks are gone.
async fn replace<D: Database>(
    database: &D,
    slice: Slice,
    old: &[i64],
    new: Option<&[EncodedBlock]>,
    sifted: &Sifted,
) -> Result<bool, StoreError> {
    let mut transaction = database.begin().await?;
    let (table, ids) = (table(D::DIALECT, slice), list(old));
    let changed = match new {
        None => {
            let sql = format!("UPDATE {table} SET level = {LEVEL_SIFTED} WHERE slice_s = $1 AND block_id IN ({ids})");
            transaction.execute(&sql, vec![slice.from_s.into()]).await?
        }
        Some(new) => {
            // The new ones first: SQLite gives an id that was deleted to the next row.
            block_write::insert::<D>(&mut *transaction, new.iter().map(|block| (LEVEL_SIFTED, block))).await?;
            let sql = format!("DELETE FROM {table} WHERE slice_s = $1 AND block_id IN ({ids})");
            transaction.execute(&sql, vec![slice.from_s.into()]).await?
        }
    };
    if changed != old.len() as u64 {
        return Ok(false);
    }
    let mut counts = Counts::default();
    counts.add(DOOR, "spans", "received", sifted.kept + sifted.out.values().sum::<u64>());
    counts.add(DOOR, "spans", "stored", sifted.kept);
    for (rule, spans) in &sifted.out {
        counts.refuse(DOOR, "spans", rule, *spans);
    }
    write::add_counts::<D>(&mut *transaction, &counts).await?;
    transaction.commit().await?;
    Ok(true)
}
