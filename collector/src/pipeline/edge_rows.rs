//! The counters of a target's edges while its scrapes are read: which sample belongs to which edge is found out once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::observation::{Refusal, Room, SERIES_PER_TARGET_MAX, Series};
use crate::ingest::exposition::{labels, split_le};
use crate::store::{BUCKETS_MAX, Edge, EdgeLabels, Histogram, Totals};

/// Largest value of a counter that is believed: beyond it a float no longer counts by one, and sums leave the databases'
/// integers.
pub(super) const VALUE_MAX: f64 = 9_007_199_254_740_992.0;

/// Bytes of one label's value; Istio's longest are host names and principals.
pub(super) const LABEL_BYTES_MAX: usize = 1_024;
/// Bounds of all histograms of Istio and Envoy, unless the proxy is told otherwise.
pub const ISTIO_BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// What a sample adds to an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Requests,
    Bucket,
    DurationSum,
    RequestBytes,
    ResponseBytes,
    RequestMessages,
    ResponseMessages,
    TcpSent,
    TcpReceived,
    TcpOpened,
    TcpClosed,
}

impl Part {
    /// By the numbers that stand for them at rest.
    pub const ALL: [Self; 11] = [
        Self::Requests,
        Self::Bucket,
        Self::DurationSum,
        Self::RequestBytes,
        Self::ResponseBytes,
        Self::RequestMessages,
        Self::ResponseMessages,
        Self::TcpSent,
        Self::TcpReceived,
        Self::TcpOpened,
        Self::TcpClosed,
    ];

    pub fn of(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("istio_")? {
            "requests_total" => Self::Requests,
            "request_duration_milliseconds_bucket" => Self::Bucket,
            "request_duration_milliseconds_sum" => Self::DurationSum,
            "request_bytes_sum" => Self::RequestBytes,
            "response_bytes_sum" => Self::ResponseBytes,
            "request_messages_total" => Self::RequestMessages,
            "response_messages_total" => Self::ResponseMessages,
            "tcp_sent_bytes_total" => Self::TcpSent,
            "tcp_received_bytes_total" => Self::TcpReceived,
            "tcp_connections_opened_total" => Self::TcpOpened,
            "tcp_connections_closed_total" => Self::TcpClosed,
            _ => return None,
        })
    }

    /// Adds to an edge; buckets are put together first.
    pub fn add(self, totals: &mut Totals, value: f64) {
        let count = value as u64;
        match self {
            Self::Requests => totals.requests += count,
            Self::Bucket => {}
            Self::DurationSum => totals.duration.sum += value,
            Self::RequestBytes => totals.request_bytes += value,
            Self::ResponseBytes => totals.response_bytes += value,
            Self::RequestMessages => totals.request_messages += count,
            Self::ResponseMessages => totals.response_messages += count,
            Self::TcpSent => totals.tcp_sent_bytes += count,
            Self::TcpReceived => totals.tcp_received_bytes += count,
            Self::TcpOpened => totals.tcp_opened += count,
            Self::TcpClosed => totals.tcp_closed += count,
        }
    }
}

/// Where a sample is added.
#[derive(Clone, Copy, Debug)]
pub struct EdgePart {
    row: usize,
    part: Part,
    /// Of a bucket.
    bound: f64,
}

struct Row {
    labels: Arc<EdgeLabels>,
    /// As at the last scrape that had it.
    edge: Option<Arc<Edge>>,
    /// The scrape that the rest is of.
    scrape: u32,
    totals: Totals,
    /// Cumulative counts by upper bound.
    buckets: Vec<(f64, u64)>,
}

/// All edges that a target has told of.
#[derive(Default)]
pub struct EdgeRows {
    rows: Vec<Row>,
    by_labels: HashMap<Arc<EdgeLabels>, usize>,
    /// Edges of one target share most of their labels' values.
    values: HashMap<Arc<str>, ()>,
    /// Proxies write the same block for all metrics of an edge, so most blocks are read once.
    by_text: HashMap<String, usize>,
    scrape: u32,
    new_edges: usize,
    told: usize,
}

impl EdgeRows {
    /// A scrape begins.
    pub fn begin(&mut self) {
        self.scrape = self.scrape.wrapping_add(1);
        self.new_edges = 0;
        self.told = 0;
    }

    /// Whether most rows are of edges that are not told of any more, so that it is time to begin anew.
    #[must_use]
    pub fn are_stale(&self) -> bool {
        self.rows.len() > 2 * self.told + 64
    }

    /// Where the samples of a series belong; `None` when edges are not made of them.
    pub(super) fn part(&mut self, name: &str, block: &str, value: f64, room: Room<'_>) -> Result<Option<EdgePart>, Refusal> {
        let Some(part) = Part::of(name) else { return Ok(None) };
        if !is_count(value) {
            // It must not take the room of another edge.
            return Err(Refusal::BadValue);
        }
        let (block, bound) = match part {
            Part::Bucket => split_le(block).ok_or(Refusal::BadLine)?,
            _ => (Cow::Borrowed(block), 0.0),
        };
        if let Some(row) = self.by_text.get(&*block) {
            return Ok(Some(EdgePart { row: *row, part, bound }));
        }
        let row = self.row(&block, room)?;
        self.by_text.insert(block.into_owned(), row);
        Ok(Some(EdgePart { row, part, bound }))
    }

    fn row(&mut self, block: &str, room: Room<'_>) -> Result<usize, Refusal> {
        let mut edge = EdgeLabels::default();
        for pair in labels(block) {
            let (name, value) = pair.map_err(|_| Refusal::BadLine)?;
            if value.len() > LABEL_BYTES_MAX {
                return Err(Refusal::LabelTooLong);
            }
            // A dimension that somebody added is summed up. `telemetry` is ours to say.
            if name == "telemetry" {
                continue;
            }
            edge.set(name, self.value(&value));
        }
        if let Some(row) = self.by_labels.get(&edge) {
            return Ok(*row);
        }
        self.admit(&edge, room)?;
        let labels = Arc::new(edge);
        let row = Row { labels: labels.clone(), edge: None, scrape: 0, totals: Totals::default(), buckets: Vec::new() };
        self.rows.push(row);
        self.by_labels.insert(labels, self.rows.len() - 1);
        Ok(self.rows.len() - 1)
    }

    fn value(&mut self, text: &str) -> Arc<str> {
        if let Some((known, ())) = self.values.get_key_value(text) {
            return known.clone();
        }
        let value: Arc<str> = Arc::from(text);
        self.values.insert(value.clone(), ());
        value
    }

    fn admit(&mut self, edge: &EdgeLabels, room: Room<'_>) -> Result<(), Refusal> {
        if (room.is_known)(edge) {
            return Ok(());
        }
        if self.rows.len() >= SERIES_PER_TARGET_MAX {
            return Err(Refusal::SeriesLimit);
        }
        if self.new_edges >= room.new_edges {
            return Err(Refusal::EdgeLimit);
        }
        self.new_edges += 1;
        Ok(())
    }

    /// Adds a sample of this scrape.
    pub(super) fn add(&mut self, part: EdgePart, value: f64) -> Result<(), Refusal> {
        if !is_count(value) {
            return Err(Refusal::BadValue);
        }
        let Some(row) = self.rows.get_mut(part.row) else { return Err(Refusal::SeriesLimit) };
        if row.scrape != self.scrape {
            row.scrape = self.scrape;
            row.totals = Totals::default();
            row.buckets.clear();
            self.told += 1;
        }
        match part.part {
            Part::Bucket => row.buckets.push((part.bound, value as u64)),
            other => other.add(&mut row.totals, value),
        }
        Ok(())
    }

    /// The counters of the scrape.
    pub fn finish(&mut self) -> Series {
        // Which block is whose was needed while its series were found out.
        self.by_text = HashMap::new();
        let scrape = self.scrape;
        let told = self.rows.iter_mut().filter(|row| row.scrape == scrape);
        told.map(|row| {
            let (edge, totals) = row.finish();
            (row.labels.clone(), (edge, totals))
        })
        .collect()
    }
}

impl Row {
    fn finish(&mut self) -> (Arc<Edge>, Totals) {
        let mut totals = std::mem::take(&mut self.totals);
        let mut durations = histogram(&mut self.buckets, totals.duration.sum);
        let edge = match self.edge.take().filter(|edge| edge.bounds == durations.bounds) {
            Some(edge) => edge,
            None => Arc::new(Edge::new(self.labels.clone(), durations.bounds)),
        };
        durations.bounds = edge.bounds.clone();
        totals.duration = durations;
        self.edge = Some(edge.clone());
        (edge, totals)
    }
}

pub(super) fn is_count(value: f64) -> bool {
    (0.0..=VALUE_MAX).contains(&value)
}

/// Cumulative buckets in any order, of one or several series, as counts per bucket.
pub(super) fn histogram(buckets: &mut [(f64, u64)], sum: f64) -> Histogram {
    let mut by_bound: Vec<(f64, u64)> = Vec::with_capacity(buckets.len());
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (bound, count) in buckets.iter().copied() {
        match by_bound.last_mut() {
            Some(last) if last.0 == bound => last.1 += count,
            _ => by_bound.push((bound, count)),
        }
    }
    if by_bound.is_empty() {
        // A counter is seen before its histogram: until then the usual bounds are the best guess.
        by_bound = ISTIO_BOUNDS.iter().map(|bound| (*bound, 0)).collect();
    }
    let total = by_bound.last().map_or(0, |(_, count)| *count);
    by_bound.retain(|(bound, _)| bound.is_finite());
    by_bound.truncate(BUCKETS_MAX - 1);
    let mut below = 0;
    let mut counts: Vec<u64> = Vec::with_capacity(by_bound.len() + 1);
    for (_, count) in &by_bound {
        counts.push(count.saturating_sub(below));
        below = below.max(*count);
    }
    counts.push(total.saturating_sub(below));
    Histogram { bounds: by_bound.iter().map(|(bound, _)| *bound).collect(), counts, sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_buckets_than_columns_end_in_the_last() {
        let mut buckets: Vec<(f64, u64)> = (1..=40).map(|bound| (f64::from(bound), u64::from(bound as u32))).collect();
        let histogram = histogram(&mut buckets, 0.0);
        assert_eq!((histogram.bounds.len(), histogram.counts.len()), (23, 24));
        assert_eq!((histogram.count(), histogram.counts[23]), (40, 17));
    }
}
