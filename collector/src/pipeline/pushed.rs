//! Edges from counters that somebody else scraped: Istio's metrics in remote write and in OTLP.
//!
//! One request has a part of what a scrape saw, and the parts of one scrape may come in any order. So each counter is
//! remembered by itself, in the database, and moved on in the transaction that stores what it added.

mod counters;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::target::{Age, Block, Target, Told};
use super::edge_rows::{LABEL_BYTES_MAX, Part, is_count};
use super::observation::Refusal;
use crate::clock::now_ms;
use crate::ingest::scrape::EDGES_MAX;
use crate::store::sample::{NAME, is_stale};
use crate::store::{Counts, EdgeLabels, PushedTarget, Sample, StateKey, Store, TARGETS_KEPT};

/// What became traffic of edges, in `GET /api/ingest`.
pub(super) const SIGNAL: &str = "edge_samples";
/// Older samples are kept, but no longer counted: what lies so far back has been looked at.
const AGE_MAX_MS: i64 = 6 * 3_600_000;
/// So long after its start a collector may not know yet whom it scrapes.
const START: Duration = Duration::from_secs(120);
/// Tells replicas of one Prometheus apart, which tell of the same counters.
const REPLICAS: [&str; 2] = ["prometheus_replica", "__replica__"];
/// Who was scraped, as all of its series say.
const IDENTITY: [&str; 5] = ["instance", "job", "namespace", "pod", "cluster"];

/// Whether a target of that name is scraped by a collector of this database: `host:port`, or `namespace/pod`.
pub type IsScraped = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What all requests share.
pub struct PushedEdges {
    store: Arc<dyn Store>,
    store_created_at_ms: i64,
    is_scraped: IsScraped,
    started: Instant,
}

/// The counters of one request.
pub struct EdgePush {
    shared: Arc<PushedEdges>,
    now_ms: i64,
    new_edges: usize,
    /// Edges of one mesh share most of their labels' values.
    values: HashMap<Arc<str>, ()>,
    targets: BTreeMap<Arc<str>, Target>,
    received: u64,
    refused: BTreeMap<Refusal, u64>,
}

impl PushedEdges {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, store_created_at_ms: i64, is_scraped: IsScraped) -> Self {
        Self { store, store_created_at_ms, is_scraped, started: Instant::now() }
    }

    /// For the samples of one request.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> EdgePush {
        EdgePush {
            shared: Arc::clone(self),
            now_ms: now_ms(),
            new_edges: EDGES_MAX.saturating_sub(self.store.edge_count()),
            values: HashMap::new(),
            targets: BTreeMap::new(),
            received: 0,
            refused: BTreeMap::new(),
        }
    }
}

/// What a key of a pushed target begins with.
#[must_use]
pub fn pushed_key(instance: &str) -> String {
    format!("push:{instance}#")
}

impl EdgePush {
    /// Takes samples that are stored anyway, if they are counters of edges. `since_ms` is when the counter began, as far
    /// as it is told.
    pub fn add(&mut self, labels: &[(&str, &str)], samples: &[Sample], since_ms: Option<i64>) {
        let Some((_, name)) = labels.iter().find(|(name, _)| *name == NAME) else { return };
        let age = match *name {
            "envoy_server_uptime" => Some(Age::Uptime as fn(f64) -> Age),
            "envoy_server_start_time_ms" => Some(Age::Start as fn(f64) -> Age),
            _ => None,
        };
        if let Some(age) = age {
            let target = self.target(labels);
            target.ages.extend(samples.iter().filter(|one| one.value.is_finite()).map(|one| (one.t_ms, age(one.value))));
        } else if let Some(part) = Part::of(name) {
            self.counter(part, labels, samples, since_ms);
        }
    }

    fn counter(&mut self, part: Part, labels: &[(&str, &str)], samples: &[Sample], since_ms: Option<i64>) {
        // The end of a series is no count.
        let samples: Vec<&Sample> = samples.iter().filter(|sample| !is_stale(sample.value)).collect();
        if samples.is_empty() {
            return;
        }
        self.received += samples.len() as u64;
        let bound = match part {
            Part::Bucket => labels.iter().find(|(name, _)| *name == "le").and_then(|(_, le)| le.parse().ok()),
            _ => Some(0.0),
        };
        let Some(bound) = bound.filter(|bound: &f64| !bound.is_nan()) else {
            return self.refuse(Refusal::BadLine, samples.len());
        };
        let (good, bad): (Vec<&Sample>, Vec<&Sample>) = samples.into_iter().partition(|sample| is_count(sample.value));
        self.refuse(Refusal::BadValue, bad.len());
        let oldest_ms = self.now_ms - AGE_MAX_MS;
        let (good, old): (Vec<&Sample>, Vec<&Sample>) = good.into_iter().partition(|sample| sample.t_ms >= oldest_ms);
        self.refuse(Refusal::TooOld, old.len());
        if good.is_empty() {
            return;
        }
        match self.block(part, labels) {
            Ok(block) => {
                let told = |sample: &&Sample| Told { t_ms: sample.t_ms, part, bound, value: sample.value, since_ms };
                block.told.extend(good.iter().map(told));
            }
            Err(reason) => self.refuse(reason, good.len()),
        }
    }

    fn refuse(&mut self, reason: Refusal, count: usize) {
        if count > 0 {
            *self.refused.entry(reason).or_default() += count as u64;
        }
    }

    fn target(&mut self, labels: &[(&str, &str)]) -> &mut Target {
        let value = |name: &str| labels.iter().find(|(of, _)| *of == name).map_or("", |(_, value)| *value);
        let mut hasher = blake3::Hasher::new();
        IDENTITY.iter().for_each(|name| hash(&mut hasher, name, value(name)));
        let key = format!("{}{}", pushed_key(value("instance")), &hasher.finalize().to_hex()[..16]);
        let shared = &self.shared;
        self.targets.entry(key.into()).or_insert_with(|| {
            let pod = format!("{}/{}", value("namespace"), value("pod"));
            let kept_ms = i64::try_from(TARGETS_KEPT.as_millis()).unwrap_or(i64::MAX);
            Target {
                is_scraped: (shared.is_scraped)(value("instance")) || (shared.is_scraped)(&pod),
                is_starting: shared.started.elapsed() < START,
                // Whatever began later and is not known was never counted by anyone.
                known_since_ms: shared.store_created_at_ms.max(self.now_ms - kept_ms),
                ..Target::default()
            }
        })
    }

    /// Where the samples of a series belong: with those that have the same labels.
    fn block(&mut self, part: Part, labels: &[(&str, &str)]) -> Result<&mut Block, Refusal> {
        let own = |name: &str| name != NAME && !(name == "le" && part == Part::Bucket) && !REPLICAS.contains(&name);
        let mut hasher = blake3::Hasher::new();
        for (name, value) in labels.iter().filter(|(name, value)| own(name) && !value.is_empty()) {
            hash(&mut hasher, name, value);
        }
        let mut key = StateKey::default();
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        if !self.target(labels).blocks.contains_key(&key) {
            let edge = self.edge(labels)?;
            let target = self.target(labels);
            if target.namespace.is_empty() {
                target.namespace = match &*edge.reporter {
                    "source" => edge.source_workload_namespace.clone(),
                    _ => edge.destination_workload_namespace.clone(),
                };
            }
            target.blocks.insert(key, Block { labels: edge, told: Vec::new() });
        }
        self.target(labels).blocks.get_mut(&key).ok_or(Refusal::SeriesLimit)
    }

    fn edge(&mut self, labels: &[(&str, &str)]) -> Result<Arc<EdgeLabels>, Refusal> {
        let mut edge = EdgeLabels::default();
        // `telemetry` is ours to say.
        for (name, value) in labels.iter().filter(|(name, _)| *name != "telemetry") {
            if value.len() <= LABEL_BYTES_MAX {
                edge.set(name, self.value(value));
            } else if EdgeLabels::NAMES.contains(name) {
                return Err(Refusal::LabelTooLong);
            }
        }
        if !self.shared.store.knows_edge(&edge) {
            self.new_edges = self.new_edges.checked_sub(1).ok_or(Refusal::EdgeLimit)?;
        }
        Ok(Arc::new(edge))
    }

    fn value(&mut self, text: &str) -> Arc<str> {
        if let Some((known, ())) = self.values.get_key_value(text) {
            return known.clone();
        }
        let value: Arc<str> = Arc::from(text);
        self.values.insert(value.clone(), ());
        value
    }

    /// What is to be written, and what of it is counted already.
    pub(super) fn finish(self, door: &'static str, counts: &mut Counts) -> Vec<PushedTarget> {
        counts.add(door, SIGNAL, "received", self.received);
        for (reason, count) in &self.refused {
            counts.refuse(door, SIGNAL, reason.as_str(), *count);
        }
        let targets = self.targets.into_iter();
        targets.filter_map(|(key, target)| target.finish(key, door)).collect()
    }
}

fn hash(hasher: &mut blake3::Hasher, name: &str, value: &str) {
    for text in [name, value] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests;
