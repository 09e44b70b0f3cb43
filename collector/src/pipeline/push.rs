//! Samples that somebody sends instead of being scraped: judged one by one, put to their series, made into blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::WriteError;
use super::intake::{Intake, reason, to_the_end};
use super::pushed::{EdgePush, SIGNAL as EDGE_SAMPLES};
use crate::store::exemplar::{self, labels_text};
use crate::store::sample::NAME;
use crate::store::sample::compact::{columns, row};
use crate::store::sample::index::{Full, Series, SeriesIndex};
use crate::store::{
    BlockWrite, Counts, Delivery, Exemplar, ExemplarWrite, Family, Metadata, MetadataWrite, Sample, WriteBatch, WriteReport,
};

/// Groups of all series that are sent. Those of one `job` and `instance` are in one: they mostly have the same times.
const GROUPS: u64 = 256;
/// Labels of one series.
pub const LABELS_MAX: usize = 256;
/// Bytes of the name of a label, or of a metric.
const NAME_BYTES_MAX: usize = 1_024;
/// Metrics of which one request may say something; those beyond are said again with a later one.
const DESCRIBED_MAX: usize = 5_000;
/// Bytes of the value of a label.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Tells whether a sample may be so old or so new, in Unix milliseconds; otherwise why not.
pub type TimeCheck = Arc<dyn Fn(i64) -> Result<(), &'static str> + Send + Sync>;

/// The samples of one request.
pub struct SamplePush {
    index: Arc<SeriesIndex>,
    check: TimeCheck,
    /// By group and slice.
    blocks: BTreeMap<(i64, i64), BTreeMap<i64, Vec<Sample>>>,
    series: Vec<Arc<Series>>,
    kept: u64,
    refused: BTreeMap<&'static str, u64>,
    items_max: u64,
    exemplars: Vec<Exemplar>,
    exemplars_refused: BTreeMap<&'static str, u64>,
    metadata: Vec<Metadata>,
    /// What of the samples counts on edges.
    edges: Option<EdgePush>,
}

/// A request of samples that is ready to be written.
pub struct SampleRequest {
    pub door: &'static str,
    pub push: SamplePush,
    pub bytes: usize,
    pub delivery: Delivery,
}

/// What became of a request that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleAnswer {
    /// Durable now, or since the first time that the request came.
    pub kept: u64,
    pub refused: BTreeMap<&'static str, u64>,
    /// Likewise of exemplars.
    pub exemplars: u64,
}

impl SamplePush {
    /// Of a request that may have so many items. Further ones are counted only: it will be refused as a whole.
    #[must_use]
    pub fn up_to(items_max: usize, index: Arc<SeriesIndex>, check: TimeCheck) -> Self {
        let items_max = items_max as u64;
        Self {
            index,
            check,
            blocks: BTreeMap::new(),
            series: Vec::new(),
            kept: 0,
            refused: BTreeMap::new(),
            items_max,
            exemplars: Vec::new(),
            exemplars_refused: BTreeMap::new(),
            metadata: Vec::new(),
            edges: None,
        }
    }

    /// With edges, which some of the samples count on.
    #[must_use]
    pub fn with_edges(self, edges: Option<EdgePush>) -> Self {
        Self { edges, ..self }
    }

    /// Samples that may still come.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.items_max.saturating_sub(self.received())
    }

    /// Samples so far, refused ones included.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.kept + self.refused.values().sum::<u64>()
    }

    /// Why samples were refused so far, and how many.
    #[cfg(test)]
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }

    /// Counts items that cannot be samples.
    pub fn refuse(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.refused.entry(reason).or_default() += count;
        }
    }

    /// Series, time and value of what was taken, to be sent on.
    #[must_use]
    pub fn taken(&self) -> Vec<(i64, i64, f64)> {
        let series = self.blocks.values().flatten();
        series.flat_map(|(id, samples)| samples.iter().map(|sample| (*id, sample.t_ms, sample.value))).collect()
    }

    /// Takes the samples of a series. Its labels stand by their names; empty ones are none.
    pub fn add(&mut self, labels: &[(&str, &str)], samples: impl IntoIterator<Item = Sample>) {
        self.add_since(labels, None, samples);
    }

    /// The same of a counter that tells when it began, in Unix milliseconds.
    pub fn add_since(&mut self, labels: &[(&str, &str)], since_ms: Option<i64>, samples: impl IntoIterator<Item = Sample>) {
        let samples = samples.into_iter();
        let series = judge(labels).and_then(|()| self.resolve(labels));
        let mut taken: Vec<Sample> = Vec::new();
        for sample in samples {
            match series.as_ref().map_err(|reason| *reason).and_then(|_| (self.check)(sample.t_ms)) {
                Ok(()) => taken.push(sample),
                Err(reason) => self.refuse(reason, 1),
            }
        }
        let Ok(series) = series else { return };
        if taken.is_empty() {
            return;
        }
        if let Some(edges) = &mut self.edges {
            edges.add(labels, &taken, since_ms);
        }
        for sample in taken {
            let slice_s = Family::SampleBlock.slice_at(sample.t_ms.div_euclid(1000)).from_s;
            let block = self.blocks.entry((series.group, slice_s)).or_default();
            block.entry(series.id).or_default().push(sample);
            self.kept += 1;
        }
        self.series.push(series);
    }

    /// Takes an exemplar of a series; its own labels may come in any order.
    pub fn exemplar(&mut self, labels: &[(&str, &str)], t_ms: i64, value: f64, own: &[(&str, &str)]) {
        let room = if self.exemplars.len() as u64 >= self.items_max { Err("too_many_items") } else { Ok(()) };
        let judged = room.and_then(|()| judge(labels)).and_then(|()| (self.check)(t_ms));
        let taken = judged.and_then(|()| labels_text(own.iter().copied())).and_then(|own| Ok((self.resolve(labels)?, own)));
        match taken {
            Ok((series, labels)) => self.exemplars.push(Exemplar { series, t_ms, value, labels }),
            Err(reason) => self.refuse_exemplars(reason, 1),
        }
    }

    pub fn refuse_exemplars(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.exemplars_refused.entry(reason).or_default() += count;
        }
    }

    /// What the sender says of a metric.
    pub fn describe(&mut self, metadata: Metadata) {
        if self.metadata.len() < DESCRIBED_MAX && metadata.metric.len() <= NAME_BYTES_MAX && !metadata.metric.is_empty() {
            self.metadata.push(metadata);
        }
    }

    fn resolve(&self, labels: &[(&str, &str)]) -> Result<Arc<Series>, &'static str> {
        let value = |name: &str| labels.iter().find(|(of, _)| *of == name).map_or("", |(_, value)| value);
        let group = group(value("job"), value("instance"));
        let resolved = if labels.iter().any(|(_, value)| value.is_empty()) {
            let labels: Vec<(&str, &str)> = labels.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
            self.index.resolve(group, &labels)
        } else {
            self.index.resolve(group, labels)
        };
        resolved.map_err(|Full| "series_limit")
    }

    fn finish(mut self, door: &'static str) -> (WriteBatch, SampleAnswer) {
        let mut batch = WriteBatch::default();
        let exemplars = std::mem::take(&mut self.exemplars);
        // A series may have told an exemplar and no sample.
        self.series.extend(exemplars.iter().map(|exemplar| exemplar.series.clone()));
        let newest_ms = exemplars.iter().map(|exemplar| exemplar.t_ms).max().unwrap_or(0);
        let mut newest_s = Family::SampleBlock.slice_at(newest_ms.div_euclid(1000)).from_s;
        let exemplars_refused: u64 = self.exemplars_refused.values().sum();
        batch.counts.add(door, exemplar::SIGNAL, "received", exemplars.len() as u64 + exemplars_refused);
        for (reason, count) in &self.exemplars_refused {
            batch.counts.refuse(door, exemplar::SIGNAL, reason, *count);
        }
        let kept = exemplars.len() as u64;
        if !exemplars.is_empty() {
            batch.exemplars = vec![ExemplarWrite { door, exemplars }];
        }
        if !self.metadata.is_empty() {
            batch.metadata = vec![MetadataWrite { door, told: std::mem::take(&mut self.metadata).into() }];
        }
        for ((group, slice_s), series) in std::mem::take(&mut self.blocks) {
            newest_s = newest_s.max(slice_s);
            let series = series.into_iter().map(|(id, samples)| (id, self.in_order(samples)));
            let series: Vec<(i64, Vec<Sample>)> = series.collect();
            let block = match one_time(&series) {
                Some((t_ms, values)) => row(t_ms, group, &values),
                None => columns(slice_s, group, series.into_iter()),
            };
            batch.blocks.push(BlockWrite { door, signal: "samples", block });
        }
        batch.series = vec![self.index.rows(self.series.iter(), newest_s + Family::SampleBlock.slice_s())];
        (batch, SampleAnswer { kept: self.kept, refused: self.refused, exemplars: kept })
    }

    /// Oldest first; of several samples of one time the first counts.
    fn in_order(&mut self, mut samples: Vec<Sample>) -> Vec<Sample> {
        let all = samples.len();
        if !samples.is_sorted_by(|a, b| a.t_ms < b.t_ms) {
            samples.sort_by_key(|sample| sample.t_ms);
            samples.dedup_by_key(|sample| sample.t_ms);
            let duplicates = (all - samples.len()) as u64;
            self.kept -= duplicates;
            self.refuse("duplicate", duplicates);
        }
        samples
    }
}

/// The time, when all series have one sample of it.
fn one_time(series: &[(i64, Vec<Sample>)]) -> Option<(i64, Vec<(i64, f64)>)> {
    let t_ms = series.first()?.1.first()?.t_ms;
    let values = series.iter().map(|(id, samples)| match samples.as_slice() {
        [sample] if sample.t_ms == t_ms => Some((*id, sample.value)),
        _ => None,
    });
    Some((t_ms, values.collect::<Option<_>>()?))
}

fn group(job: &str, instance: &str) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(job.as_bytes());
    hasher.update(&[0]);
    hasher.update(instance.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    // Far from those of targets, whose groups are spread over all numbers.
    (u64::from_le_bytes(bytes) % GROUPS) as i64
}

/// Whether labels name a series: sorted, each once, with a name, none too long.
fn judge(labels: &[(&str, &str)]) -> Result<(), &'static str> {
    if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("duplicate_label");
    }
    if !labels.is_sorted_by_key(|(name, _)| *name) {
        return Err("unsorted_labels");
    }
    let is_good = |name: &str| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if labels.iter().any(|(name, _)| !is_good(name)) {
        return Err("bad_label_name");
    }
    match labels.iter().find(|(name, _)| *name == NAME) {
        None | Some((_, "")) => return Err("no_name"),
        Some((_, name)) if name.len() > NAME_BYTES_MAX => return Err("label_limit"),
        Some((_, name)) if !crate::ingest::exposition::is_name(name) => return Err("bad_name"),
        Some(_) => {}
    }
    let too_long = |(name, value): &(&str, &str)| name.len() > NAME_BYTES_MAX || value.len() > VALUE_BYTES_MAX;
    if labels.len() > LABELS_MAX || labels.iter().any(too_long) { Err("label_limit") } else { Ok(()) }
}

impl Intake {
    /// Stores the samples of one request, once however often it is sent.
    ///
    /// # Errors
    /// When nothing was stored, as far as is known; the sender may try again.
    pub async fn samples(&self, request: SampleRequest) -> Result<(SampleAnswer, WriteReport), WriteError> {
        let this = self.clone();
        to_the_end(async move { this.store_samples(request).await }).await
    }

    async fn store_samples(&self, request: SampleRequest) -> Result<(SampleAnswer, WriteReport), WriteError> {
        let SampleRequest { door, push, bytes, delivery } = request;
        let mut push = push;
        let mut counts = Counts::default();
        let pushed = push.edges.take().map(|edges| edges.finish(door, &mut counts)).unwrap_or_default();
        let (mut batch, answer) = push.finish(door);
        counts.add(door, "samples", "received", answer.kept + answer.refused.values().sum::<u64>());
        counts.add(door, "samples", "bytes", bytes as u64);
        for (reason, count) in &answer.refused {
            counts.refuse(door, "samples", reason, *count);
        }
        batch.counts.merge(&counts);
        batch.delivery = Some(delivery).filter(|_| answer.kept + answer.exemplars > 0);
        let on_edges = pushed.iter().map(|pushed| pushed.items).sum();
        batch.pushed = pushed;
        match self.deliver(door, "samples", answer.kept, batch).await {
            Ok(report) => Ok((answer, report)),
            Err(error) => {
                let mut counts = Counts::default();
                counts.refuse(door, EDGE_SAMPLES, reason(&error), on_edges);
                counts.refuse(door, exemplar::SIGNAL, reason(&error), answer.exemplars);
                self.note(&counts);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(t_ms: i64) -> Sample {
        Sample { t_ms, value: t_ms as f64 }
    }

    fn push() -> SamplePush {
        let check: TimeCheck = Arc::new(|t_ms| if t_ms < 0 { Err("too_old") } else { Ok(()) });
        SamplePush::up_to(50, Arc::new(SeriesIndex::new(0, 3)), check)
    }

    #[test]
    fn series_are_judged_and_each_sample_counted() {
        let mut push = push();
        push.add(&[("__name__", "a"), ("job", "x"), ("none", "")], [at(5), at(-1), at(3), at(5)]);
        push.add(&[("job", "x"), ("__name__", "a")], [at(1)]);
        push.add(&[("__name__", "a"), ("job", "x"), ("job", "y")], [at(1), at(2)]);
        push.add(&[("job", "x")], [at(1)]);
        push.add(&[("__name__", "a b")], [at(1)]);
        push.add(&[("__name__", "a"), ("b-c", "d")], [at(1)]);
        push.add(&[("__name__", "b"), ("job", "x")], [at(7_200_000)]);
        push.add(&[("__name__", "c"), ("job", "x")], [at(7_200_000)]);
        push.add(&[("__name__", "d"), ("job", "x")], [at(7)]);
        assert_eq!(push.received(), 13);
        let (batch, answer) = push.finish("test");
        let refused = [
            ("bad_label_name", 1),
            ("bad_name", 1),
            ("duplicate", 1),
            ("duplicate_label", 2),
            ("no_name", 1),
            ("series_limit", 1),
            ("too_old", 1),
            ("unsorted_labels", 1),
        ];
        assert_eq!((answer.kept, answer.refused), (4, BTreeMap::from(refused)));
        let blocks: Vec<_> = batch.blocks.iter().map(|write| (write.block.slice_s, write.block.items)).collect();
        assert_eq!(blocks, [(0, 2), (7200, 2)]);
        // All of one time: a row, which has no summary.
        assert!(batch.blocks[1].block.summary.is_empty() && !batch.blocks[0].block.summary.is_empty());
        assert_eq!((batch.series[0].series.len(), batch.series[0].kept_until_s), (3, 14_400 + 86_400));
    }
}
