//! Makes few dense blocks of many scrapes: columns of series whose metrics have the same name.

use std::collections::HashMap;
use std::sync::Arc;

use super::block::{self, Columns, SERIES_MAX};
use super::index::SeriesIndex;
use super::read::in_order;
use super::{Sample, block::encode_columns};
use crate::store::block::{Compact, CorruptBlock, EncodedBlock, StoredBlock};
use crate::store::schema::Family;

/// Half a slice of scrapes every 15 seconds: merging more of them saves little.
const DENSE_ITEMS: u32 = 512 * 240;
/// Each sample takes 16 bytes while it is merged.
const MERGE_ITEMS: u64 = 4_000_000;

/// Merges blocks of samples; the dictionary says which series resemble each other.
pub struct SampleCompact {
    index: Arc<SeriesIndex>,
}

impl SampleCompact {
    #[must_use]
    pub fn new(index: Arc<SeriesIndex>) -> Self {
        Self { index }
    }
}

impl Compact for SampleCompact {
    fn family(&self) -> Family {
        Family::SampleBlock
    }

    fn by_shard(&self) -> bool {
        true
    }

    fn dense_items(&self) -> u32 {
        DENSE_ITEMS
    }

    fn merge_items(&self) -> u64 {
        MERGE_ITEMS
    }

    fn merge(&self, blocks: &[StoredBlock]) -> Result<Vec<EncodedBlock>, (usize, CorruptBlock)> {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        // As a reader takes them, so that of two samples of one time the same counts before and after.
        order.sort_by_key(|place| (std::cmp::Reverse(blocks[*place].level), blocks[*place].block_id));
        let mut samples: HashMap<i64, Vec<Sample>> = HashMap::new();
        for place in order {
            let data = &blocks[place].block.data;
            let read = block::read(data, &|_| true, &mut |series, times, values| {
                let all = times.iter().zip(values).map(|(t_ms, value)| Sample { t_ms: *t_ms, value: *value });
                samples.entry(series).or_default().extend(all);
            });
            read.map_err(|_| (place, CorruptBlock("its samples cannot be read")))?;
        }
        let Some(first) = blocks.first() else { return Ok(Vec::new()) };
        let (slice_s, shard) = (first.block.slice_s, first.block.shard);
        let mut ids: Vec<i64> = samples.keys().copied().collect();
        let names = self.index.names(ids.iter().copied());
        let by_name: HashMap<i64, Arc<str>> = ids.iter().copied().zip(names).collect();
        // Ids grow in the order of the text, in which the buckets of a histogram follow each other.
        ids.sort_unstable_by(|a, b| by_name[a].cmp(&by_name[b]).then(a.cmp(b)));
        let mut take = |id: &i64| {
            let mut samples = samples.remove(id).unwrap_or_default();
            in_order(&mut samples);
            (*id, samples)
        };
        Ok(ids.chunks(SERIES_MAX).map(|chunk| columns(slice_s, shard, chunk.iter().map(&mut take))).collect())
    }
}

/// A block of series with their samples in order.
pub fn columns(slice_s: i64, shard: i64, series: impl Iterator<Item = (i64, Vec<Sample>)>) -> EncodedBlock {
    let mut columns = Columns::default();
    let (mut items, mut from_ms, mut to_ms, mut ids) = (0, i64::MAX, i64::MIN, Vec::new());
    for (id, samples) in series {
        items += samples.len();
        from_ms = from_ms.min(samples.first().map_or(i64::MAX, |sample| sample.t_ms));
        to_ms = to_ms.max(samples.last().map_or(i64::MIN, |sample| sample.t_ms));
        ids.push(id);
        columns.push(id, samples.iter().map(|sample| sample.t_ms).collect(), samples.iter().map(|sample| sample.value).collect());
    }
    EncodedBlock {
        family: Family::SampleBlock,
        slice_s,
        shard,
        from_us: from_ms.saturating_mul(1000),
        to_us: to_ms.saturating_mul(1000),
        items: u32::try_from(items).unwrap_or(u32::MAX),
        summary: block::summary(ids),
        data: encode_columns(&columns),
    }
}

/// A block of one scrape, by ascending id.
#[must_use]
pub fn row(t_ms: i64, shard: i64, values: &[(i64, f64)]) -> EncodedBlock {
    EncodedBlock {
        family: Family::SampleBlock,
        slice_s: Family::SampleBlock.slice_at(t_ms.div_euclid(1000)).from_s,
        shard,
        from_us: t_ms.saturating_mul(1000),
        to_us: t_ms.saturating_mul(1000),
        items: u32::try_from(values.len()).unwrap_or(u32::MAX),
        // Whoever wants a series of the group at that time wants the block.
        summary: Vec::new(),
        data: block::encode_row(t_ms, values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(block_id: i64, level: u8, block: EncodedBlock) -> StoredBlock {
        StoredBlock { block_id, level, block }
    }

    #[test]
    fn scrapes_become_columns_by_name() {
        let index = Arc::new(SeriesIndex::new(0, 100));
        let ids: Vec<i64> = ["b", "a", "b"]
            .iter()
            .zip(["1", "2", "3"])
            .map(|(name, value)| index.resolve(1, &[("__name__", name), ("x", value)]).unwrap().id)
            .collect();
        let rows = (0..10).map(|n| {
            let values: Vec<(i64, f64)> = ids.iter().map(|id| (*id, n as f64)).collect();
            stored(n, 0, row(7_200_000 + n * 15_000, 1, &values))
        });
        let compact = SampleCompact::new(index);
        let merged = compact.merge(&rows.collect::<Vec<_>>()).unwrap();
        let [block] = merged.as_slice() else { panic!("{} blocks", merged.len()) };
        assert_eq!((block.slice_s, block.shard, block.items), (7200, 1, 30));
        assert_eq!((block.from_us, block.to_us), (7_200_000_000, 7_335_000_000));
        let mut seen = Vec::new();
        block::read(&block.data, &|_| true, &mut |id, times, values| seen.push((id, times.len(), values[9]))).unwrap();
        assert_eq!(seen, [(ids[1], 10, 9.0), (ids[0], 10, 9.0), (ids[2], 10, 9.0)]);
        // Merged again with a late scrape, of a time that is there and of one that is not.
        let late = [row(7_215_000, 1, &[(ids[0], 99.0)]), row(7_216_000, 1, &[(ids[0], 98.0)])];
        let again = [stored(30, 0, late[0].clone()), stored(31, 0, late[1].clone()), stored(50, 1, block.clone())];
        let merged = compact.merge(&again).unwrap();
        let mut seen = Vec::new();
        block::read(&merged[0].data, &|id| id == ids[0], &mut |_, _, values| seen.extend_from_slice(values)).unwrap();
        assert_eq!(seen, [0.0, 1.0, 98.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        let damaged = EncodedBlock { data: vec![9], ..late[0].clone() };
        assert_eq!(compact.merge(&[again[0].clone(), stored(2, 0, damaged)]).unwrap_err().0, 1);
    }
}
