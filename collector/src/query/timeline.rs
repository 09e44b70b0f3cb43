//! Traffic over time: which rows of metrics a line follows, and the points it is drawn through.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sidelight_api::graph::{GraphType, NodeType};
use sidelight_api::timeline::Point;

use super::graph::call::{Call, Protocol};
use super::graph::exchange::{self, Exchange};
use super::graph::options::GraphOptions;
use super::graph::peer;
use super::graph::traffic::path;
use super::params::{ParamError, Params};
use super::window::STEP_MS;
use super::{rounding, window};
use crate::store::{EdgeGroups, EdgeLabels, EdgeTotals, Histogram, SeriesAnswer, Window};

/// Points of one answer.
pub const POINTS_MAX: u64 = 2_000;
/// Points of an answer whose request names no step, at most.
const POINTS_COMFORTABLE: u64 = 120;

/// Groups of the series: requests that went well, and those that did not.
const WENT_WELL: u8 = 0;
const FAILED: u8 = 1;

/// What a line follows, by the ids of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follow {
    Everything,
    /// Requests that the node answered; those it made when it only calls.
    Node(String),
    Edge {
        source: String,
        target: String,
    },
}

impl Follow {
    /// Reads `node`, or `source` and `target`.
    ///
    /// # Errors
    /// When half an edge is named, or both a node and an edge.
    pub fn read(params: &Params) -> Result<Self, ParamError> {
        match (params.filled("node"), params.filled("source"), params.filled("target")) {
            (None, None, None) => Ok(Self::Everything),
            (Some(node), None, None) => Ok(Self::Node(node.to_owned())),
            (None, Some(source), Some(target)) => Ok(Self::Edge { source: source.to_owned(), target: target.to_owned() }),
            (None, Some(_), None) => Err(ParamError::new("target", "is missing: an edge has two ends")),
            (None, None, Some(_)) => Err(ParamError::new("source", "is missing: an edge has two ends")),
            (Some(_), _, _) => Err(ParamError::new("node", "cannot be asked for together with an edge")),
        }
    }
}

/// Reads `step` (seconds, or a duration): whole rollup steps, and not more than [`POINTS_MAX`] of them.
///
/// # Errors
/// When it is too short for the window.
pub fn read_step_s(params: &Params, over: Window) -> Result<u64, ParamError> {
    let finest_s = u64::try_from(STEP_MS / 1000).unwrap_or(1);
    let window_s = over.seconds() as u64;
    let comfortable = window_s.div_ceil(POINTS_COMFORTABLE);
    let step_s = params.duration_s("step", comfortable.max(1))?.div_ceil(finest_s) * finest_s;
    if window_s / step_s > POINTS_MAX {
        return Err(ParamError::new("step", format!("gives more than {POINTS_MAX} points; ask for longer steps")));
    }
    Ok(step_s)
}

/// The rows that a line adds up, each request once, and whether they failed.
#[must_use]
pub fn rows_of(edges: &[EdgeTotals], options: &GraphOptions, follow: &Follow) -> EdgeGroups {
    let exchanges = exchange::count(edges, options).calls;
    let followed = followed(&exchanges, options.graph_type, follow);
    let mut groups: HashMap<Arc<EdgeLabels>, u8> = HashMap::new();
    for exchange in followed {
        let group = if failed(&exchange.call) { FAILED } else { WENT_WELL };
        groups.extend(exchange.rows.iter().map(|labels| (Arc::clone(labels), group)));
    }
    Arc::new(move |labels: &EdgeLabels| groups.get(labels).copied())
}

/// One point per step of the window, oldest first.
#[must_use]
pub fn points(series: &SeriesAnswer) -> Vec<Point> {
    let step_ms = i64::try_from(series.step_s).unwrap_or(1).max(1) * 1000;
    let mut steps: BTreeMap<i64, Step> = BTreeMap::new();
    let first_ms = series.window.from_ms.div_euclid(step_ms) * step_ms;
    let mut at_ms = first_ms;
    while at_ms < series.window.to_ms && steps.len() as u64 <= POINTS_MAX {
        steps.insert(at_ms, Step::default());
        at_ms += step_ms;
    }
    for totals in &series.points {
        let step = steps.entry(totals.t_ms.div_euclid(step_ms) * step_ms).or_default();
        step.requests += totals.totals.requests;
        step.failed += if totals.group == FAILED { totals.totals.requests } else { 0 };
        step.duration.add(&totals.totals.duration);
    }
    steps.into_iter().map(|(t_ms, step)| step.into_point(t_ms, step_ms, series.window)).collect()
}

#[derive(Default)]
struct Step {
    requests: u64,
    failed: u64,
    duration: Histogram,
}

impl Step {
    fn into_point(self, t_ms: i64, step_ms: i64, over: Window) -> Point {
        // The first and the last step may lie partly outside; what was counted lies inside.
        let inside = Window { from_ms: t_ms.max(over.from_ms), to_ms: (t_ms + step_ms).min(over.to_ms) };
        Point {
            t_ms,
            rate: rounding::thousandths(window::per_second(inside, self.requests as f64)),
            errors: rounding::thousandths(window::per_second(inside, self.failed as f64)),
            p95: self.duration.quantile(0.95).map(rounding::thousandths),
        }
    }
}

fn followed<'e, 'a>(exchanges: &'e [Exchange<'a>], graph_type: GraphType, follow: &Follow) -> Vec<&'e Exchange<'a>> {
    let requests = exchanges.iter().filter(|exchange| exchange.call.protocol != Protocol::Tcp);
    match follow {
        Follow::Everything => requests.collect(),
        Follow::Node(id) => {
            let (answered, made): (Vec<_>, Vec<_>) = requests
                .filter_map(|exchange| Some((exchange, Stops::of(exchange, graph_type)?)))
                .filter(|(_, stops)| stops.0.contains(id))
                .partition(|(_, stops)| stops.0[1..].contains(id));
            let chosen = if answered.is_empty() { made } else { answered };
            chosen.into_iter().map(|(exchange, _)| exchange).collect()
        }
        Follow::Edge { source, target } => {
            let callers = callers_behind(exchanges, graph_type, source);
            let takes = |stops: &Stops| stops.has_edge(source, target) || callers.contains(&stops.0[0]) && stops.0[1] == *target;
            requests.filter(|exchange| Stops::of(exchange, graph_type).is_some_and(|stops| takes(&stops))).collect()
        }
    }
}

/// Hashed ids of the nodes that a call passes, service nodes included.
struct Stops(Vec<String>);

impl Stops {
    fn of(exchange: &Exchange<'_>, graph_type: GraphType) -> Option<Self> {
        let stops = path(exchange, graph_type, true)?;
        Some(Self(stops.iter().map(|(_, identity)| peer::hash(&identity.id)).collect()))
    }

    /// From one to the next, or over the service node, which a graph may leave out.
    fn has_edge(&self, source: &str, target: &str) -> bool {
        let ends = (self.0.first(), self.0.last());
        self.0.windows(2).any(|pair| pair[0] == source && pair[1] == target)
            || ends.0.is_some_and(|first| first == source) && ends.1.is_some_and(|last| last == target)
    }
}

/// In a service graph a service stands for the workloads behind it: their ids.
fn callers_behind(exchanges: &[Exchange<'_>], graph_type: GraphType, service: &str) -> HashSet<String> {
    if graph_type != GraphType::Service {
        return HashSet::new();
    }
    let stops = exchanges.iter().filter_map(|exchange| path(exchange, graph_type, true));
    let behind: BTreeSet<String> = stops
        .flat_map(|stops| {
            let pairs = stops.windows(2).filter(|pair| pair[0].1.kind == NodeType::Service);
            let through = pairs.filter(|pair| peer::hash(&pair[0].1.id) == service);
            through.map(|pair| peer::hash(&pair[1].1.id)).collect::<Vec<_>>()
        })
        .collect();
    behind.into_iter().collect()
}

/// 5xx, no response, or a gRPC status that is not OK.
fn failed(call: &Call<'_>) -> bool {
    match (call.protocol, call.code.as_bytes()) {
        (Protocol::Tcp, _) => false,
        (_, b"-") => true,
        (Protocol::Http, code) => code.first() == Some(&b'5'),
        (Protocol::Grpc, [first, _, _]) => matches!(first, b'4' | b'5'),
        (Protocol::Grpc, code) => code != b"0",
    }
}

#[cfg(test)]
mod tests;
