//! What one scrape saw: the counters of every edge, put together from the samples of Istio's standard metrics.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ingest::exposition::{Format, Sample, labels, samples, split_le};
use crate::store::{BUCKETS_MAX, Edge, EdgeLabels, Histogram, Totals};

/// Largest value of a counter that is believed: beyond it a float no longer counts by one, and sums leave the databases' integers.
const VALUE_MAX: f64 = 9_007_199_254_740_992.0;

/// Edges that one target may tell of. Each costs a row per ten seconds in which it has traffic.
pub const SERIES_PER_TARGET_MAX: usize = 10_000;
/// Bytes of one label's value; Istio's longest are host names and principals.
const LABEL_BYTES_MAX: usize = 1_024;
/// Bounds of all histograms of Istio and Envoy, unless the proxy is told otherwise.
const ISTIO_BOUNDS: [f64; 19] = [
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

/// Why samples of an edge were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not a line of the text format.
    BadLine,
    /// A counter that is negative, or not a number.
    BadValue,
    LabelTooLong,
    /// More edges than one target may have.
    SeriesLimit,
    /// The store's dictionary is full.
    EdgeLimit,
    /// A metric that nothing is made of.
    Unused,
}

impl Refusal {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadLine => "bad_line",
            Self::BadValue => "bad_value",
            Self::LabelTooLong => "label_too_long",
            Self::SeriesLimit => "series_limit",
            Self::EdgeLimit => "edge_limit",
            Self::Unused => "unused",
        }
    }
}

/// Counters by the labels of their edge.
pub type Series = HashMap<Arc<EdgeLabels>, (Arc<Edge>, Totals)>;

/// The counters of one target at one time.
#[derive(Debug, Default)]
pub struct Observation {
    pub series: Series,
    /// Seconds since the process started, as it tells.
    pub uptime_s: Option<f64>,
    /// Unix seconds.
    pub started_at_s: Option<f64>,
    /// Lines that should be samples.
    pub received: u64,
    pub refused: BTreeMap<Refusal, u64>,
}

/// What a sample adds to an edge.
#[derive(Clone, Copy)]
enum Part {
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
    fn of(name: &str) -> Option<Self> {
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
}

impl Observation {
    /// Reads a scrape. `is_known` tells which edges the target had at the last one: they come first when there are too many.
    #[must_use]
    pub fn read(text: &str, room: Room<'_>) -> Self {
        let mut reading = Reading {
            observation: Self::default(),
            rows: Vec::new(),
            by_text: HashMap::new(),
            by_labels: HashMap::new(),
            values: HashMap::new(),
            last: None,
            new_edges: 0,
            room,
        };
        for sample in samples(text, Format::Text) {
            reading.observation.received += 1;
            match sample {
                Ok(sample) => reading.take(sample),
                Err(_) => reading.refuse(Refusal::BadLine),
            }
        }
        reading.finish()
    }

    /// Samples that became part of an edge.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.received - self.refused.values().sum::<u64>()
    }
}

/// How many edges may be taken.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    /// Whether the target had the edge at the last scrape, or the dictionary has it; such edges always have room.
    pub is_known: &'a dyn Fn(&EdgeLabels) -> bool,
    /// Edges that the store's dictionary can still take.
    pub new_edges: usize,
}

struct Row {
    labels: Arc<EdgeLabels>,
    totals: Totals,
    /// Cumulative counts by upper bound.
    buckets: Vec<(f64, u64)>,
}

/// A row, or why its samples are refused.
type Place = Result<usize, Refusal>;

struct Reading<'t, 'r> {
    observation: Observation,
    rows: Vec<Row>,
    /// Proxies write the same block for all metrics of an edge, so most blocks are parsed once.
    by_text: HashMap<std::borrow::Cow<'t, str>, Place>,
    by_labels: HashMap<Arc<EdgeLabels>, Place>,
    /// Edges of one target share most of their labels' values.
    values: HashMap<String, Arc<str>>,
    /// The buckets of one histogram follow each other.
    last: Option<(&'t str, Place)>,
    new_edges: usize,
    room: Room<'r>,
}

impl<'t> Reading<'t, '_> {
    fn refuse(&mut self, reason: Refusal) {
        *self.observation.refused.entry(reason).or_default() += 1;
    }

    fn take(&mut self, sample: Sample<'t>) {
        match sample.name {
            "envoy_server_uptime" => self.observation.uptime_s = Some(sample.value).filter(|value| value.is_finite()),
            // Not `process_start_time_seconds`: behind a merged endpoint that is the application's.
            "envoy_server_start_time_ms" => {
                self.observation.started_at_s = Some(sample.value / 1000.0).filter(|value| value.is_finite());
            }
            _ => {
                if let Err(reason) = self.take_metric(sample) {
                    self.refuse(reason);
                }
            }
        }
    }

    fn take_metric(&mut self, sample: Sample<'t>) -> Result<(), Refusal> {
        let part = Part::of(sample.name).ok_or(Refusal::Unused)?;
        if !(0.0..=VALUE_MAX).contains(&sample.value) {
            return Err(Refusal::BadValue);
        }
        let count = sample.value as u64;
        if matches!(part, Part::Bucket) {
            let (block, bound) = split_le(sample.labels).ok_or(Refusal::BadLine)?;
            let place = self.bucket_place(block)?;
            self.rows[place].buckets.push((bound, count));
            return Ok(());
        }
        let place = self.place(sample.labels.into())?;
        let totals = &mut self.rows[place].totals;
        match part {
            Part::Requests => totals.requests += count,
            Part::Bucket => {}
            Part::DurationSum => totals.duration.sum += sample.value,
            Part::RequestBytes => totals.request_bytes += sample.value,
            Part::ResponseBytes => totals.response_bytes += sample.value,
            Part::RequestMessages => totals.request_messages += count,
            Part::ResponseMessages => totals.response_messages += count,
            Part::TcpSent => totals.tcp_sent_bytes += count,
            Part::TcpReceived => totals.tcp_received_bytes += count,
            Part::TcpOpened => totals.tcp_opened += count,
            Part::TcpClosed => totals.tcp_closed += count,
        }
        Ok(())
    }

    fn bucket_place(&mut self, block: std::borrow::Cow<'t, str>) -> Place {
        match (&block, self.last) {
            (std::borrow::Cow::Borrowed(text), Some((last, place))) if *text == last => place,
            (std::borrow::Cow::Borrowed(text), _) => {
                let text = *text;
                let place = self.place(block);
                self.last = Some((text, place));
                place
            }
            _ => self.place(block),
        }
    }

    fn place(&mut self, block: std::borrow::Cow<'t, str>) -> Place {
        if let Some(place) = self.by_text.get(&block) {
            return *place;
        }
        let place = self.new_place(&block);
        self.by_text.insert(block, place);
        place
    }

    fn new_place(&mut self, block: &str) -> Place {
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
        if let Some(place) = self.by_labels.get(&edge) {
            return *place;
        }
        let place = self.admit(&edge);
        let labels = Arc::new(edge);
        if place.is_ok() {
            self.rows.push(Row { labels: labels.clone(), totals: Totals::default(), buckets: Vec::new() });
        }
        self.by_labels.insert(labels, place);
        place
    }

    fn value(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.values.get(text) {
            return known.clone();
        }
        let value: Arc<str> = Arc::from(text);
        self.values.insert(text.to_owned(), value.clone());
        value
    }

    fn admit(&mut self, edge: &EdgeLabels) -> Place {
        if (self.room.is_known)(edge) {
            return Ok(self.rows.len());
        }
        if self.rows.len() >= SERIES_PER_TARGET_MAX {
            return Err(Refusal::SeriesLimit);
        }
        if self.new_edges >= self.room.new_edges {
            return Err(Refusal::EdgeLimit);
        }
        self.new_edges += 1;
        Ok(self.rows.len())
    }

    fn finish(self) -> Observation {
        let mut observation = self.observation;
        for row in self.rows {
            let mut totals = row.totals;
            totals.duration = histogram(row.buckets, totals.duration.sum);
            let edge = Arc::new(Edge::new(row.labels.clone(), totals.duration.bounds.clone()));
            observation.series.insert(row.labels, (edge, totals));
        }
        observation
    }
}

/// Cumulative buckets in any order, of one or several series, as counts per bucket.
fn histogram(buckets: Vec<(f64, u64)>, sum: f64) -> Histogram {
    let mut by_bound: Vec<(f64, u64)> = Vec::with_capacity(buckets.len());
    let mut sorted = buckets;
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (bound, count) in sorted {
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

    fn read(text: &str) -> Observation {
        Observation::read(text, Room { is_known: &|_| false, new_edges: usize::MAX })
    }

    #[test]
    fn the_metrics_of_an_edge_come_together() {
        let block = r#"reporter="source",destination_workload="reviews-v1",response_code="200""#;
        let text = format!(
            "envoy_server_uptime{{}} 42\nistio_requests_total{{{block}}} 7\n\
             istio_request_duration_milliseconds_bucket{{{block},le=\"1\"}} 2\n\
             istio_request_duration_milliseconds_bucket{{{block},le=\"5\"}} 6\n\
             istio_request_duration_milliseconds_bucket{{{block},le=\"+Inf\"}} 7\n\
             istio_request_duration_milliseconds_sum{{{block}}} 31\n\
             istio_request_duration_milliseconds_count{{{block}}} 7\n\
             istio_request_bytes_sum{{{block}}} 70\nistio_response_bytes_sum{{{block}}} 700\nbroken line here x\n"
        );
        let seen = read(&text);
        assert_eq!(seen.uptime_s, Some(42.0));
        assert_eq!((seen.received, seen.taken()), (10, 8));
        assert_eq!(seen.refused, BTreeMap::from([(Refusal::BadLine, 1), (Refusal::Unused, 1)]));
        let (edge, totals) = seen.series.values().next().unwrap();
        assert_eq!((&*edge.labels.reporter, &*edge.labels.destination_workload), ("source", "reviews-v1"));
        assert_eq!(
            *totals,
            Totals {
                requests: 7,
                duration: Histogram { bounds: Arc::from([1.0, 5.0]), counts: vec![2, 4, 1], sum: 31.0 },
                request_bytes: 70.0,
                response_bytes: 700.0,
                ..Totals::default()
            }
        );
    }

    #[test]
    fn dimensions_that_are_not_kept_are_summed_up() {
        let seen = read(
            "istio_requests_total{reporter=\"source\",method=\"GET\"} 7\nistio_requests_total{reporter=\"source\",method=\"PUT\"} 2\n",
        );
        assert_eq!(seen.series.len(), 1);
        assert_eq!(seen.series.values().next().unwrap().1.requests, 9);
    }

    #[test]
    fn limits_refuse_and_count() {
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        let text = format!(
            "istio_requests_total{{source_app=\"{long}\"}} 1\nistio_requests_total{{source_app=\"a\"}} -1\n\
             istio_requests_total{{source_app=\"a\"}} NaN\nistio_requests_total{{source_app=\"a\"}} 1e30\nistio_requests_total{{source_app=\"b\"}} 1\n\
             istio_requests_total{{source_app=\"c\"}} 1\nistio_requests_total{{source_app=\"known\"}} 1\n"
        );
        let room = Room { is_known: &|edge| &*edge.source_app == "known", new_edges: 1 };
        let seen = Observation::read(&text, room);
        let refused = BTreeMap::from([(Refusal::BadValue, 3), (Refusal::LabelTooLong, 1), (Refusal::EdgeLimit, 1)]);
        assert_eq!((seen.refused, seen.series.len()), (refused, 2));
    }

    #[test]
    fn more_buckets_than_columns_end_in_the_last() {
        let buckets = (1..=40).map(|bound| (f64::from(bound), u64::from(bound as u32))).collect();
        let histogram = histogram(buckets, 0.0);
        assert_eq!((histogram.bounds.len(), histogram.counts.len()), (23, 24));
        assert_eq!((histogram.count(), histogram.counts[23]), (40, 17));
    }
}
