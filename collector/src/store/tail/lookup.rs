//! Which traces were judged out: reads the blocks of verdicts that spans of a short time may be in.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::StoreError;
use super::super::block::{BlockHead, CorruptBlock};
use super::super::block_read::{BlockReader, HeadQuery, Order};
use super::super::database::Database;
use super::super::schema::Family;
use super::super::span_block::{TRACES_BYTES, may_have_trace};
use super::verdict::VerdictColumns;
use super::{TraceId, Verdict};

/// Bytes of blocks that are held while spans are looked up; with more, reading starts anew.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Verdicts of one state of the database: of one [`BlockReader`].
#[derive(Default)]
pub struct Verdicts {
    slices: Option<BTreeSet<i64>>,
    held: HashMap<(i64, i64), Vec<u8>>,
    held_bytes: usize,
}

impl Verdicts {
    /// Of the traces, those that were judged out, and by which rule. They have spans in a slice that start between two times
    /// (microseconds, both included).
    pub async fn out<D: Database>(
        &mut self,
        database: &D,
        reader: &mut BlockReader,
        slice_s: i64,
        span_us: (i64, i64),
        ids: &[TraceId],
    ) -> Result<HashMap<TraceId, Arc<str>>, StoreError> {
        let of = reader.turn_to(Family::VerdictBlock);
        let result = self.read(database, reader, slice_s, span_us, ids).await;
        reader.turn_to(of);
        let out = result?.into_iter().filter(|(_, verdict)| !verdict.is_kept);
        Ok(out.map(|(id, verdict)| (id, verdict.rule)).collect())
    }

    async fn read<D: Database>(
        &mut self,
        database: &D,
        reader: &mut BlockReader,
        slice_s: i64,
        span_us: (i64, i64),
        ids: &[TraceId],
    ) -> Result<HashMap<TraceId, Verdict>, StoreError> {
        let mut found = HashMap::new();
        if self.slices.is_none() {
            self.slices = Some(reader.slices(i64::MIN, i64::MAX, Order::OldestFirst).await?.into_iter().collect());
        }
        if ids.is_empty() || self.slices.as_ref().is_none_or(|slices| !slices.contains(&slice_s)) {
            return Ok(found);
        }
        let to_us = span_us.1.saturating_add(1);
        let mut query = HeadQuery { from_us: span_us.0, to_us, summary_bytes: Some(TRACES_BYTES), ..HeadQuery::new(slice_s) };
        while let Some(page) = reader.heads(&mut query).await? {
            for head in page {
                if !ids.iter().any(|id| may_have_trace(&head.summary, id)) {
                    continue;
                }
                if let Err(corrupt) = look(self.data(reader, &head).await?, ids, &mut found) {
                    database.caches().corrupt_block(head.family, slice_s, head.block_id, &corrupt);
                }
            }
        }
        Ok(found)
    }

    async fn data(&mut self, reader: &mut BlockReader, head: &BlockHead) -> Result<&[u8], StoreError> {
        let key = (head.slice_s, head.block_id);
        if !self.held.contains_key(&key) {
            if self.held_bytes > HELD_BYTES_MAX {
                self.held.clear();
                self.held_bytes = 0;
            }
            let data = reader.data(head).await?;
            self.held_bytes += data.len();
            self.held.insert(key, data);
        }
        Ok(self.held.get(&key).map_or(&[], Vec::as_slice))
    }
}

/// Of several verdicts on a trace, the one that keeps it counts.
fn look(data: &[u8], ids: &[TraceId], found: &mut HashMap<TraceId, Verdict>) -> Result<(), CorruptBlock> {
    let columns = VerdictColumns::read(data)?;
    for id in ids {
        if let Some(verdict) = columns.find(id)
            && found.get(id).is_none_or(|known| verdict.is_kept && !known.is_kept)
        {
            found.insert(*id, verdict.clone());
        }
    }
    Ok(())
}

/// The newest verdicts, newest first, at most `limit`.
pub(super) async fn last<D: Database>(database: &D, limit: usize) -> Result<Vec<(TraceId, Verdict)>, StoreError> {
    let mut reader = BlockReader::open(database, Family::VerdictBlock).await?;
    let mut last: Vec<(TraceId, Verdict)> = Vec::new();
    for slice_s in reader.slices(i64::MIN, i64::MAX, Order::NewestFirst).await? {
        let mut query = HeadQuery { summary_bytes: Some(0), ..HeadQuery::new(slice_s) };
        while let Some(page) = reader.heads(&mut query).await? {
            for head in page {
                if last.len() >= limit {
                    last.truncate(limit);
                    return Ok(last);
                }
                let data = reader.data(&head).await?;
                match VerdictColumns::read(&data) {
                    Ok(columns) => last.extend(columns.entries().map(|(id, verdict)| (id, verdict.clone()))),
                    Err(corrupt) => database.caches().corrupt_block(head.family, slice_s, head.block_id, &corrupt),
                }
            }
        }
    }
    last.truncate(limit);
    Ok(last)
}
