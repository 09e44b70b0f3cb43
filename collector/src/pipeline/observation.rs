//! What one scrape saw: the counters of every edge, put together from the samples of Istio's standard metrics.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::edge_rows::{EdgePart, EdgeRows};
use crate::ingest::exposition::{BadLine, Format, Sample, samples};
use crate::store::{Edge, EdgeLabels, Totals};

/// Edges that one target may tell of. Each costs a row per ten seconds in which it has traffic.
pub const SERIES_PER_TARGET_MAX: usize = 10_000;

/// Why samples of an edge were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not a line of the text format.
    BadLine,
    /// A counter that is negative, or not a number.
    BadValue,
    LabelTooLong,
    /// It was pushed long after its time.
    TooOld,
    /// More edges than one target may have.
    SeriesLimit,
    /// The store's dictionary is full.
    EdgeLimit,
}

impl Refusal {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadLine => "bad_line",
            Self::BadValue => "bad_value",
            Self::LabelTooLong => "label_too_long",
            Self::TooOld => "too_old",
            Self::SeriesLimit => "series_limit",
            Self::EdgeLimit => "edge_limit",
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
    /// Samples that tell of edges, and lines that cannot be read.
    pub received: u64,
    pub refused: BTreeMap<Refusal, u64>,
}

/// What a sample tells of the proxy and its edges; the same for each sample of a series.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Nothing.
    None,
    Uptime,
    StartTime,
    Edge(EdgePart),
}

impl Observation {
    /// Reads a scrape that nothing is remembered of.
    #[must_use]
    pub fn read(text: &str, room: Room<'_>) -> Self {
        let (mut rows, mut seen) = (EdgeRows::default(), Self::default());
        rows.begin();
        for sample in samples(text, Format::Text) {
            match sample {
                Ok(sample) => {
                    let role = Role::of(&sample, &mut rows, room);
                    seen.take(role, sample.value, &mut rows);
                }
                Err(BadLine) => seen.refuse(Refusal::BadLine),
            }
        }
        seen.series = rows.finish();
        seen
    }

    /// Takes one sample of a series that has this role, or says why it has none.
    pub fn take(&mut self, role: Result<Role, Refusal>, value: f64, rows: &mut EdgeRows) {
        match role {
            Ok(Role::None) => {}
            Ok(Role::Uptime) => self.uptime_s = Some(value).filter(|value| value.is_finite()),
            Ok(Role::StartTime) => self.started_at_s = Some(value / 1000.0).filter(|value| value.is_finite()),
            Ok(Role::Edge(part)) => match rows.add(part, value) {
                Ok(()) => self.received += 1,
                Err(reason) => self.refuse(reason),
            },
            Err(reason) => self.refuse(reason),
        }
    }

    pub fn refuse(&mut self, reason: Refusal) {
        self.received += 1;
        *self.refused.entry(reason).or_default() += 1;
    }

    /// Samples that became part of an edge.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.received - self.refused.values().sum::<u64>()
    }
}

impl Role {
    /// What the samples of a series tell.
    pub fn of(sample: &Sample<'_>, rows: &mut EdgeRows, room: Room<'_>) -> Result<Self, Refusal> {
        match sample.name {
            "envoy_server_uptime" => Ok(Self::Uptime),
            // Not `process_start_time_seconds`: behind a merged endpoint that is the application's.
            "envoy_server_start_time_ms" => Ok(Self::StartTime),
            name => Ok(rows.part(name, sample.labels, sample.value, room)?.map_or(Self::None, Self::Edge)),
        }
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

#[cfg(test)]
mod tests {
    use super::super::edge_rows::LABEL_BYTES_MAX;
    use super::*;
    use crate::store::Histogram;

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
        assert_eq!((seen.received, seen.taken()), (8, 7));
        assert_eq!(seen.refused, BTreeMap::from([(Refusal::BadLine, 1)]));
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
}
