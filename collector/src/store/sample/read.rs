//! Answers what series there are and which samples they have.

use std::collections::HashMap;

use super::index::SeriesIndex;
use super::matcher::Matcher;
use super::{Labels, Sample, SeriesSamples, block};
use crate::store::block::{BlockHead, CorruptBlock};
use crate::store::block_read::{BlockReader, HeadQuery, Order};
use crate::store::database::Database;
use crate::store::schema::Family;
use crate::store::{StoreError, sample::dictionary};

/// Samples of one answer, unless it is asked for fewer; each takes 16 bytes of memory.
pub const SAMPLES_PER_QUERY_MAX: usize = 20_000_000;

/// Which samples are wanted; times are Unix milliseconds, both ends included.
#[derive(Clone, Debug)]
pub struct SampleQuery {
    pub matchers: Vec<Matcher>,
    pub from_ms: i64,
    pub to_ms: i64,
    pub samples_max: usize,
}

impl SampleQuery {
    #[must_use]
    pub fn new(matchers: Vec<Matcher>, from_ms: i64, to_ms: i64) -> Self {
        Self { matchers, from_ms, to_ms, samples_max: SAMPLES_PER_QUERY_MAX }
    }
}

/// The samples that a query gathers: series that several groups or collectors named are one.
struct Gathered {
    series: Vec<SeriesSamples>,
    by_id: HashMap<i64, usize>,
    groups: Vec<i64>,
    ids: Vec<i64>,
    samples: usize,
}

impl Gathered {
    fn new(index: &SeriesIndex, query: &SampleQuery) -> Self {
        let chosen = index.select(&query.matchers);
        let (mut by_labels, mut by_id, mut series) = (HashMap::new(), HashMap::new(), Vec::new());
        let mut groups: Vec<i64> = Vec::new();
        for one in chosen {
            let labels = index.labels(&one);
            let place = *by_labels.entry(labels.clone()).or_insert_with(|| {
                series.push(SeriesSamples { labels, samples: Vec::new() });
                series.len() - 1
            });
            by_id.insert(one.id, place);
            groups.push(one.group);
        }
        let mut ids: Vec<i64> = by_id.keys().copied().collect();
        ids.sort_unstable();
        groups.sort_unstable();
        groups.dedup();
        Self { series, by_id, groups, ids, samples: 0 }
    }

    fn may_need(&self, head: &BlockHead) -> bool {
        self.groups.binary_search(&head.shard).is_ok() && block::may_have(&head.summary, &self.ids)
    }

    fn add(&mut self, data: &[u8], query: &SampleQuery) -> Result<(), block::Damaged> {
        let (by_id, series) = (&self.by_id, &mut self.series);
        block::read(data, &|id| by_id.contains_key(&id), &mut |id, times, values| {
            let Some(series) = by_id.get(&id).and_then(|place| series.get_mut(*place)) else { return };
            let first = times.partition_point(|t_ms| *t_ms < query.from_ms);
            let last = times.partition_point(|t_ms| *t_ms <= query.to_ms);
            let chosen = times.iter().zip(values).take(last).skip(first);
            series.samples.extend(chosen.map(|(t_ms, value)| Sample { t_ms: *t_ms, value: *value }));
            self.samples += last.saturating_sub(first);
        })
    }

    fn finish(mut self) -> Vec<SeriesSamples> {
        self.series.retain(|series| !series.samples.is_empty());
        for series in &mut self.series {
            in_order(&mut series.samples);
        }
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.series
    }
}

/// Oldest first; of several samples of one time the first that was stored counts.
pub(super) fn in_order(samples: &mut Vec<Sample>) {
    if !samples.is_sorted_by(|a, b| a.t_ms < b.t_ms) {
        samples.sort_by_key(|sample| sample.t_ms);
        samples.dedup_by_key(|sample| sample.t_ms);
    }
}

pub(in crate::store) async fn select<D: Database>(database: &D, query: &SampleQuery) -> Result<Vec<SeriesSamples>, StoreError> {
    let index = dictionary::fresh_index(database).await?;
    let mut gathered = Gathered::new(&index, query);
    if gathered.ids.is_empty() || query.from_ms > query.to_ms {
        return Ok(Vec::new());
    }
    let (from_s, to_s) = (query.from_ms.div_euclid(1000), query.to_ms.div_euclid(1000).saturating_add(1));
    let mut reader = BlockReader::open(database, Family::SampleBlock).await?;
    for slice_s in reader.slices(from_s, to_s, Order::OldestFirst).await? {
        let mut heads = Vec::new();
        let mut pages = HeadQuery::new(slice_s);
        pages.from_us = query.from_ms.saturating_mul(1000);
        pages.to_us = query.to_ms.saturating_add(1).saturating_mul(1000);
        pages.order = Order::OldestFirst;
        pages.shard = if let [group] = *gathered.groups { Some(group) } else { None };
        while let Some(page) = reader.heads(&mut pages).await? {
            heads.extend(page.into_iter().filter(|head| gathered.may_need(head)));
        }
        // What is merged was stored before what is not.
        heads.sort_by_key(|head| (std::cmp::Reverse(head.level), head.block_id));
        for head in &heads {
            let data = reader.data(head).await?;
            if gathered.add(&data, query).is_err() {
                let error = CorruptBlock("its samples cannot be read");
                database.caches().corrupt_block(Family::SampleBlock, head.slice_s, head.block_id, &error);
            }
            if gathered.samples > query.samples_max {
                return Err(StoreError::TooManySamples(query.samples_max));
            }
        }
    }
    Ok(gathered.finish())
}

/// Series that all matchers want and that may have samples since a time, by their labels.
pub(in crate::store) async fn series<D: Database>(
    database: &D,
    matchers: &[Matcher],
    from_ms: i64,
) -> Result<Vec<Labels>, StoreError> {
    let index = dictionary::fresh_index(database).await?;
    let kept = index.select(matchers).into_iter().filter(|series| series.is_kept_until(from_ms.div_euclid(1000)));
    let mut labels: Vec<Labels> = kept.map(|series| index.labels(&series)).collect();
    labels.sort();
    labels.dedup();
    Ok(labels)
}

/// Names of labels of the series that all matchers want; of all series without one.
pub(in crate::store) async fn label_names<D: Database>(
    database: &D,
    matchers: &[Matcher],
    from_ms: i64,
) -> Result<Vec<String>, StoreError> {
    if matchers.is_empty() {
        return Ok(dictionary::fresh_index(database).await?.label_names());
    }
    let series = series(database, matchers, from_ms).await?;
    Ok(sorted(series.iter().flat_map(|labels| labels.iter()).map(|(name, _)| name.to_string()).collect()))
}

/// Values of a label of the series that all matchers want; of all series without one.
pub(in crate::store) async fn label_values<D: Database>(
    database: &D,
    name: &str,
    matchers: &[Matcher],
    from_ms: i64,
) -> Result<Vec<String>, StoreError> {
    if matchers.is_empty() {
        return Ok(dictionary::fresh_index(database).await?.label_values(name));
    }
    let series = series(database, matchers, from_ms).await?;
    let labels = series.iter().flat_map(|labels| labels.iter());
    Ok(sorted(labels.filter(|(of, _)| &**of == name).map(|(_, value)| value.to_string()).collect()))
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts.dedup();
    texts
}
