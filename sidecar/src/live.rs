//! Turns what was accepted into what is in force: clusters warm up, routes and listeners follow, removals come last.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use envoy_types::pb::google::protobuf::Any;
use tracing::debug;

use crate::config::Notes;
use crate::config::cluster::{Cluster, Discovery};
use crate::config::endpoint::Assignment;
use crate::config::http_manager::Routes;
use crate::config::listener::Listener;
use crate::config::route::RouteTable;
use crate::listeners::{Listeners, RouteSource};
use crate::readiness::Readiness;
use crate::reporting::Reporting;
use crate::stats::XdsStats;
use crate::upstream::cluster::LiveCluster;
use crate::upstream::{ClusterMap, Upstreams};
use crate::xds::Kind;
use crate::xds::world::World;

/// A removed cluster keeps serving the routes that still name it for this long: the update that moves them is on its way.
const LINGER: Duration = Duration::from_secs(2);
/// New routes wait this long for the endpoints of their clusters; then they apply as they are.
const WARMING_MAX: Duration = Duration::from_secs(5);
/// Until the address of the span collector is looked for again.
const COLLECTOR_RETRY: Duration = Duration::from_secs(1);

pub struct Live {
    world: World,
    shared: Arc<ArcSwap<World>>,
    statics: Vec<Arc<Cluster>>,
    upstreams: Arc<Upstreams>,
    listeners: Listeners,
    slots: BTreeMap<String, Arc<ArcSwap<RouteTable>>>,
    /// The assignment that each cluster's hosts were made from.
    applied: HashMap<Arc<str>, Arc<Assignment>>,
    removed: HashMap<Arc<str>, Instant>,
    /// Route tables that wait for clusters, since when.
    waiting: HashMap<String, Instant>,
    settle_at: Option<Instant>,
    stats: Arc<XdsStats>,
    ready: Arc<Readiness>,
    reporting: Reporting,
}

pub struct LiveParts {
    pub statics: Vec<Cluster>,
    pub shared: Arc<ArcSwap<World>>,
    pub upstreams: Arc<Upstreams>,
    pub listeners: Listeners,
    pub stats: Arc<XdsStats>,
    pub ready: Arc<Readiness>,
    pub reporting: Reporting,
}

impl Live {
    pub fn new(parts: LiveParts) -> Self {
        let mut live = Self {
            world: World::default(),
            shared: parts.shared,
            statics: parts.statics.into_iter().map(Arc::new).collect(),
            upstreams: parts.upstreams,
            listeners: parts.listeners,
            slots: BTreeMap::new(),
            applied: HashMap::new(),
            removed: HashMap::new(),
            waiting: HashMap::new(),
            settle_at: None,
            stats: parts.stats,
            ready: parts.ready,
            reporting: parts.reporting,
        };
        live.settle();
        live
    }

    pub fn stats(&self) -> &XdsStats {
        &self.stats
    }

    pub fn endpoint_names(&mut self) -> BTreeSet<String> {
        self.world.endpoint_names()
    }

    pub fn route_names(&mut self) -> BTreeSet<String> {
        self.world.route_names()
    }

    /// When to settle again without an update; nothing when all is settled.
    pub fn settle_at(&self) -> Option<Instant> {
        self.settle_at
    }

    /// Takes an update whole or not at all.
    pub fn accept(&mut self, kind: Kind, version: &str, resources: Vec<Any>, notes: &mut Notes) -> Result<(), String> {
        let mut next = self.world.clone();
        let result = next.accept(kind, version, resources, notes).and_then(|()| match kind {
            // A port that cannot be opened is a reason to refuse, so it is tried before the answer.
            Kind::Listener => self.listeners.reserve(next.listeners.values().map(|listener| listener.value.as_ref())),
            _ => Ok(()),
        });
        self.stats.of(kind).record(result.is_ok());
        result?;
        self.world = next;
        Ok(())
    }

    /// Brings what is in force as close to what was accepted as dependencies allow.
    pub fn settle(&mut self) {
        self.settle_at = None;
        let warming = self.settle_clusters();
        self.settle_routes(&warming);
        let listeners_warming = self.settle_listeners();
        self.stats.warming_clusters.set(warming.len() as u64);
        self.shared.store(Arc::new(self.world.clone()));
        let told = |kind| self.stats.of(kind).successes() > 0;
        if told(Kind::Cluster) && told(Kind::Listener) && warming.is_empty() && !listeners_warming {
            self.ready.set_live();
        }
    }

    /// Returns the names of the clusters that still wait for their endpoints.
    fn settle_clusters(&mut self) -> BTreeSet<Arc<str>> {
        let before = self.upstreams.all();
        let mut map = ClusterMap::new();
        let mut warming = BTreeSet::new();
        let accepted = self.world.clusters.values().map(|c| (c.value.clone(), true));
        let statics = self.statics.iter().map(|c| (c.clone(), false));
        let mut applied = HashMap::new();
        for (config, from_api) in accepted.chain(statics) {
            let old = before.get(&config.name);
            let live = match old {
                Some(old) if Arc::ptr_eq(&old.config, &config) => old.clone(),
                _ => Arc::new(LiveCluster::new(config.clone(), from_api, old.map(Arc::as_ref))),
            };
            if let Discovery::Eds(service) = &config.discovery {
                let Some(assignment) = self.world.assignments.get(service) else {
                    warming.insert(config.name.clone());
                    // The old one serves until the new one knows its endpoints.
                    if let Some(old) = old {
                        map.insert(config.name.clone(), old.clone());
                    }
                    continue;
                };
                let same = self.applied.get(&config.name).is_some_and(|done| Arc::ptr_eq(done, &assignment.value));
                if !same {
                    live.set_endpoints(&assignment.value.endpoints);
                }
                applied.insert(config.name.clone(), assignment.value.clone());
            }
            map.entry(config.name.clone()).or_insert(live);
        }
        self.applied = applied;
        self.keep_lingering(&before, &mut map);
        self.count_clusters(&before, &map);
        self.upstreams.replace(map);
        warming
    }

    /// Keeps removed clusters that routes in force still name, for a moment.
    fn keep_lingering(&mut self, before: &ClusterMap, map: &mut ClusterMap) {
        let gone: Vec<_> = before.keys().filter(|name| !map.contains_key(*name)).collect();
        if gone.is_empty() {
            self.removed.clear();
            return;
        }
        let named = self.clusters_in_force();
        let now = Instant::now();
        let mut removed = HashMap::new();
        for name in gone {
            let since = *self.removed.get(name).unwrap_or(&now);
            if named.contains(name) && now < since + LINGER {
                if let Some(cluster) = before.get(name) {
                    map.insert(name.clone(), cluster.clone());
                }
                removed.insert(name.clone(), since);
                self.wake_at(since + LINGER);
            }
        }
        self.removed = removed;
    }

    fn clusters_in_force(&self) -> BTreeSet<Arc<str>> {
        let tables = self.slots.values().map(|slot| slot.load_full());
        tables.chain(self.listeners.inline_tables()).flat_map(|table| table.cluster_names()).collect()
    }

    fn count_clusters(&self, before: &ClusterMap, after: &ClusterMap) {
        let added = after.keys().filter(|name| !before.contains_key(*name)).count();
        let removed = before.keys().filter(|name| !after.contains_key(*name)).count();
        let modified = after.iter().filter(|(name, new)| before.get(*name).is_some_and(|old| !Arc::ptr_eq(old, new))).count();
        self.stats.clusters_added.add(added as u64);
        self.stats.clusters_removed.add(removed as u64);
        self.stats.clusters_modified.add(modified as u64);
        self.stats.active_clusters.set(after.len() as u64);
    }

    fn settle_routes(&mut self, warming: &BTreeSet<Arc<str>>) {
        let clusters = self.upstreams.all();
        let mut waiting = HashMap::new();
        for (name, table) in &self.world.routes {
            if self.slots.get(name).is_some_and(|slot| Arc::ptr_eq(&*slot.load(), &table.value)) {
                continue;
            }
            let cold = table.value.cluster_names().iter().any(|name| warming.contains(name) && !clusters.contains_key(name));
            let since = *self.waiting.get(name).unwrap_or(&Instant::now());
            if cold && since.elapsed() < WARMING_MAX {
                waiting.insert(name.clone(), since);
                continue;
            }
            match self.slots.get(name) {
                Some(slot) => slot.store(table.value.clone()),
                None => {
                    let slot = Arc::new(ArcSwap::new(table.value.clone()));
                    self.slots.insert(name.clone(), slot);
                }
            }
        }
        if let Some(since) = waiting.values().min().copied() {
            self.wake_at(since + WARMING_MAX);
        }
        self.waiting = waiting;
        self.slots.retain(|name, _| self.world.routes.contains_key(name));
    }

    /// Whether listeners still wait for their routes.
    fn settle_listeners(&mut self) -> bool {
        let mut wanted: Vec<(Arc<Listener>, Option<RouteSource>)> = Vec::new();
        let mut warming = BTreeSet::new();
        for (name, listener) in &self.world.listeners {
            let listener = listener.value.clone();
            let source = match listener.http().map(|http| &http.routes) {
                // Bytes are copied without a route.
                None => Some(None),
                Some(Routes::Inline(table)) => Some(Some(RouteSource::Fixed(table.clone()))),
                Some(Routes::Rds(rds)) => self.slots.get(rds).cloned().map(|slot| Some(RouteSource::Shared(slot))),
            };
            match source {
                Some(source) => wanted.push((listener, source)),
                None => {
                    warming.insert(name.clone());
                }
            }
        }
        // Before the first request of a new listener, so that it is logged and traced.
        let configs = wanted.iter().map(|(listener, _)| listener);
        if !self.reporting.apply(configs, &self.upstreams) {
            self.wake_at(Instant::now() + COLLECTOR_RETRY);
        }
        self.listeners.apply(wanted, &warming);
        self.stats.warming_listeners.set(warming.len() as u64);
        self.stats.active_listeners.set(self.listeners.len() as u64);
        if !warming.is_empty() {
            debug!(?warming, "listeners wait for their routes");
        }
        !warming.is_empty()
    }

    fn wake_at(&mut self, when: Instant) {
        // A moment later, so that the deadline has passed when we look at it.
        let when = when + Duration::from_millis(1);
        self.settle_at = Some(self.settle_at.map_or(when, |at| at.min(when)));
    }
}
