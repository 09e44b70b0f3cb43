//! Blocks of verdicts: ids of traces, sorted, with what was decided on each. Ids are random, so nothing is compressed, and one
//! is found without reading the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::block::{Compact, CorruptBlock, EncodedBlock, StoredBlock};
use super::super::schema::Family;
use super::super::span_block::{trace_filter, wire};
use super::TraceId;
use wire::{Reader, put, put_bytes};

const VERSION: u8 = 1;
/// Slices that the verdict on one trace is written to; of a longer one, spans in between may stay.
const SLICES_MAX: i64 = 200;
/// A block with so many verdicts is not merged.
pub(super) const DENSE_ITEMS: u32 = 8_192;
/// Reasons of one block: they are the names of rules.
const REASONS_MAX: usize = 256;
const SECOND_US: i64 = 1_000_000;
const MINUTE_S: i64 = 60;

/// What was decided on a trace, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Verdict {
    pub is_kept: bool,
    pub rule: Arc<str>,
}

/// A verdict, and where the spans are that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub trace_id: TraceId,
    /// Earliest and latest start of its spans.
    pub first_us: i64,
    pub last_us: i64,
    pub verdict: Verdict,
}

/// Blocks by slice and minute, so that few have to be read for spans of a short time.
pub fn encode(judged: &[Judged]) -> Vec<EncodedBlock> {
    let mut groups: BTreeMap<(i64, i64), Vec<&Judged>> = BTreeMap::new();
    for one in judged {
        let length_s = Family::VerdictBlock.slice_s();
        let (first_s, last_s) = (one.first_us.div_euclid(SECOND_US), one.last_us.div_euclid(SECOND_US));
        let first = Family::VerdictBlock.slice_at(first_s).from_s;
        let last = Family::VerdictBlock.slice_at(last_s).from_s.max(first);
        let more = ((last - first) / length_s).min(SLICES_MAX);
        for turn in 0..=more {
            let slice_s = if turn == more { last } else { first + turn * length_s };
            let minute = if slice_s == first { (first_s - first) / MINUTE_S } else { 0 };
            groups.entry((slice_s, minute)).or_default().push(one);
        }
    }
    groups.into_iter().map(|((slice_s, minute), judged)| block(slice_s, minute, judged)).collect()
}

fn block(slice_s: i64, minute: i64, judged: Vec<&Judged>) -> EncodedBlock {
    let from_us = judged.iter().map(|one| one.first_us).min().unwrap_or_default();
    let to_us = judged.iter().map(|one| one.last_us).max().unwrap_or_default();
    let entries = judged.into_iter().map(|one| (one.trace_id, &one.verdict)).collect();
    encoded(slice_s, minute, (from_us, to_us), entries)
}

/// Of several verdicts on a trace, the one that keeps it counts.
fn encoded(slice_s: i64, shard: i64, span_us: (i64, i64), mut entries: Vec<(TraceId, &Verdict)>) -> EncodedBlock {
    entries.sort_unstable_by_key(|(id, verdict)| (*id, !verdict.is_kept, &verdict.rule));
    entries.dedup_by_key(|(id, _)| *id);
    let mut verdicts: Vec<&Verdict> = Vec::new();
    let mut codes = Vec::with_capacity(entries.len());
    for (_, verdict) in &entries {
        let known = verdicts.iter().position(|known| known == verdict);
        let place = known.unwrap_or_else(|| {
            if verdicts.len() < REASONS_MAX {
                verdicts.push(verdict);
            }
            verdicts.len() - 1
        });
        codes.push(place as u8);
    }
    let mut data = vec![VERSION];
    put(&mut data, verdicts.len() as u64);
    for verdict in verdicts {
        data.push(u8::from(verdict.is_kept));
        put_bytes(&mut data, verdict.rule.as_bytes());
    }
    put(&mut data, entries.len() as u64);
    entries.iter().for_each(|(id, _)| data.extend_from_slice(id));
    data.extend_from_slice(&codes);
    EncodedBlock {
        family: Family::VerdictBlock,
        slice_s,
        shard,
        from_us: span_us.0,
        to_us: span_us.1,
        items: u32::try_from(entries.len()).unwrap_or(u32::MAX),
        summary: trace_filter(entries.iter().map(|(id, _)| id.as_slice())),
        data,
    }
}

/// A block that is looked into.
pub(super) struct VerdictColumns<'a> {
    verdicts: Vec<Verdict>,
    ids: &'a [u8],
    codes: &'a [u8],
}

impl<'a> VerdictColumns<'a> {
    pub fn read(data: &'a [u8]) -> Result<Self, CorruptBlock> {
        let mut reader = Reader(data);
        if reader.byte()? != VERSION {
            return Err(CorruptBlock("its verdicts have no known version"));
        }
        let count = reader.size()?;
        if count > REASONS_MAX {
            return Err(CorruptBlock("it has too many verdicts"));
        }
        let verdict = |_| Ok(Verdict { is_kept: reader.byte()? != 0, rule: reader.text()?.into() });
        let verdicts = (0..count).map(verdict).collect::<Result<_, CorruptBlock>>()?;
        let count = reader.size()?;
        let ids = reader.take(count.checked_mul(16).ok_or(CorruptBlock("it is too large"))?)?;
        let columns = Self { verdicts, ids, codes: reader.take(count)? };
        if columns.codes.iter().any(|code| usize::from(*code) >= columns.verdicts.len()) {
            return Err(CorruptBlock("a verdict is missing"));
        }
        Ok(columns)
    }

    pub fn find(&self, id: &TraceId) -> Option<&Verdict> {
        let (ids, _) = self.ids.as_chunks::<16>();
        let place = ids.binary_search(id).ok()?;
        self.verdicts.get(usize::from(*self.codes.get(place)?))
    }

    pub fn entries(&self) -> impl Iterator<Item = (TraceId, &Verdict)> {
        let (ids, _) = self.ids.as_chunks::<16>();
        ids.iter().zip(self.codes).filter_map(|(id, code)| Some((*id, self.verdicts.get(usize::from(*code))?)))
    }
}

/// Verdicts of a block, for who checks it.
pub fn items(data: &[u8]) -> Result<u64, CorruptBlock> {
    let columns = VerdictColumns::read(data)?;
    let (ids, _) = columns.ids.as_chunks::<16>();
    if ids.is_sorted() { Ok(ids.len() as u64) } else { Err(CorruptBlock("its verdicts are not sorted")) }
}

/// How blocks of verdicts are merged: those of one minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerdictCompact;

impl Compact for VerdictCompact {
    fn family(&self) -> Family {
        Family::VerdictBlock
    }

    fn by_shard(&self) -> bool {
        true
    }

    fn dense_items(&self) -> u32 {
        DENSE_ITEMS
    }

    fn merge_items(&self) -> u64 {
        2 * u64::from(DENSE_ITEMS)
    }

    /// A minute has no more than a few judgements.
    fn due_blocks(&self) -> usize {
        8
    }

    fn merge(&self, blocks: &[StoredBlock]) -> Result<Vec<EncodedBlock>, (usize, CorruptBlock)> {
        let Some(first) = blocks.first() else { return Ok(Vec::new()) };
        let read = |(place, stored): (usize, &'_ StoredBlock)| {
            let columns = VerdictColumns::read(&stored.block.data).map_err(|corrupt| (place, corrupt))?;
            Ok(columns.entries().map(|(id, verdict)| (id, verdict.clone())).collect::<Vec<_>>())
        };
        let entries: Vec<Vec<(TraceId, Verdict)>> = blocks.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let from_us = blocks.iter().map(|stored| stored.block.from_us).min().unwrap_or_default();
        let to_us = blocks.iter().map(|stored| stored.block.to_us).max().unwrap_or_default();
        let entries = entries.iter().flatten().map(|(id, verdict)| (*id, verdict)).collect();
        Ok(vec![encoded(first.block.slice_s, first.block.shard, (from_us, to_us), entries)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: i64 = 1_800_000_000;

    fn judged(id: u8, first_s: i64, last_s: i64, is_kept: bool, rule: &str) -> Judged {
        let verdict = Verdict { is_kept, rule: rule.into() };
        Judged { trace_id: [id; 16], first_us: first_s * SECOND_US, last_us: last_s * SECOND_US, verdict }
    }

    #[test]
    fn verdicts_lie_in_the_slices_and_minutes_of_their_traces() {
        let blocks = encode(&[
            judged(1, T + 61, T + 62, true, "errors"),
            judged(2, T + 100, T + 3_700, false, "default"),
            judged(3, T + 130, T + 130, false, "default"),
        ]);
        let places: Vec<_> = blocks.iter().map(|block| (block.slice_s - T, block.shard, block.items)).collect();
        assert_eq!(places, [(0, 1, 2), (0, 2, 1), (3_600, 0, 1)]);
        let columns = VerdictColumns::read(&blocks[0].data).unwrap();
        assert_eq!(columns.find(&[1; 16]), Some(&Verdict { is_kept: true, rule: "errors".into() }));
        assert_eq!(columns.find(&[2; 16]).map(|verdict| verdict.is_kept), Some(false));
        assert_eq!(columns.find(&[3; 16]), None);
        assert_eq!((blocks[0].from_us, blocks[0].to_us), ((T + 61) * SECOND_US, (T + 3_700) * SECOND_US));
    }

    #[test]
    fn a_trace_of_many_years_is_in_some_slices() {
        let blocks = encode(&[judged(1, 0, T, true, "a")]);
        assert_eq!(blocks.len() as i64, SLICES_MAX + 1);
        assert_eq!(blocks.last().map(|block| block.slice_s), Some(T));
    }

    #[test]
    fn merged_verdicts_keep_what_any_of_them_keeps() {
        let mut blocks = encode(&[judged(1, T, T, false, "default"), judged(2, T, T, false, "default")]);
        blocks.extend(encode(&[judged(1, T + 1, T + 9, true, "errors")]));
        let stored: Vec<StoredBlock> = blocks.into_iter().map(|block| StoredBlock { block_id: 1, level: 0, block }).collect();
        let merged = VerdictCompact.merge(&stored).unwrap().remove(0);
        assert_eq!((merged.items, merged.from_us, merged.to_us), (2, T * SECOND_US, (T + 9) * SECOND_US));
        assert_eq!(items(&merged.data), Ok(2));
        let columns = VerdictColumns::read(&merged.data).unwrap();
        assert_eq!(columns.find(&[1; 16]), Some(&Verdict { is_kept: true, rule: "errors".into() }));
        assert_eq!(columns.find(&[2; 16]), Some(&Verdict { is_kept: false, rule: "default".into() }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(columns) = VerdictColumns::read(&bytes) {
                let _ = (columns.find(&[1; 16]), columns.entries().count());
            }
        }
    }
}
