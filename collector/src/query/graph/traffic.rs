//! The graph while it is being built: nodes by id, edges by their ends and protocol.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sidelight_api::graph::{self as api, GraphType, NodeType, ServiceRef};

use super::call::Protocol;
use super::exchange::{Exchange, Security, Tally};
use super::peer::{self, BLACK_HOLE, Identity, PASSTHROUGH, Peer, known, known_version};

/// Readable id of a node; travels hashed.
pub type Id = Arc<str>;

#[derive(Clone, Debug)]
pub struct Node {
    pub id: Id,
    /// What will be sent; filled by the enrichers.
    pub data: api::Node,
    pub dest_services: BTreeSet<ServiceRef>,
    /// `PassthroughCluster` or `BlackHoleCluster`.
    pub egress_cluster: bool,
    /// A proxy beside this node has told of its traffic.
    pub reported: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Edge {
    pub tally: Tally,
    pub security: Security,
    pub codes: Codes,
    /// What it was counted from, where that is not metrics.
    pub telemetry: BTreeSet<Arc<str>>,
    /// Leads into a service node that stands between caller and workload: times belong to the edge behind it.
    pub into_injected: bool,
    /// What will be sent; filled by the enrichers.
    pub response_time: Option<String>,
    pub throughput: Option<String>,
    pub is_mtls: Option<String>,
    pub source_principal: Option<Arc<str>>,
    pub destination_principal: Option<Arc<str>>,
    pub health: Option<api::Health>,
}

/// Amounts by response code.
pub type Codes = BTreeMap<String, CodeDetail>;

/// Amounts of one response code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeDetail {
    pub amount: u64,
    pub flags: BTreeMap<String, u64>,
    pub hosts: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey {
    pub source: Id,
    pub target: Id,
    pub protocol: Protocol,
}

#[derive(Clone, Debug, Default)]
pub struct TrafficMap {
    pub nodes: BTreeMap<Id, Node>,
    pub edges: BTreeMap<EdgeKey, Edge>,
}

/// What flows through one node in one protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    pub inbound: u64,
    pub outbound: u64,
    pub inbound_codes: BTreeMap<String, u64>,
    pub outbound_codes: BTreeMap<String, u64>,
}

/// The way of one call through the graph: from node to node, a service node in between where one is injected.
pub fn path<'a>(exchange: &Exchange<'a>, graph_type: GraphType, inject: bool) -> Option<Vec<(Peer<'a>, Identity)>> {
    let call = &exchange.call;
    let source = call.source.identify(graph_type)?;
    let destination = call.destination.identify(graph_type)?;
    let mut stops = vec![(call.source, source)];
    if inject && call.passes_service() && destination.kind != NodeType::Service {
        let to = &call.destination;
        let service = Peer::of_service(to.cluster, to.service_namespace, to.service);
        stops.push((service, service.identify(graph_type)?));
    }
    stops.push((call.destination, destination));
    Some(stops)
}

impl TrafficMap {
    /// Draws all calls; those without traffic only when idle edges are wanted.
    #[must_use]
    pub fn of(calls: &[Exchange<'_>], graph_type: GraphType, inject: bool, idle_edges: bool) -> Self {
        let mut map = Self::default();
        for exchange in calls.iter().filter(|exchange| idle_edges || exchange.tally.amount > 0) {
            map.draw(exchange, graph_type, inject);
        }
        map
    }

    fn draw(&mut self, exchange: &Exchange<'_>, graph_type: GraphType, inject: bool) {
        let Some(stops) = path(exchange, graph_type, inject) else { return };
        let ids: Vec<Id> = stops.iter().map(|(peer, identity)| self.node(peer, identity, graph_type)).collect();
        let injected = ids.len() == 3;
        for (at, ends) in ids.windows(2).enumerate() {
            self.dest_service(&ends[1], &exchange.call.destination);
            let key = EdgeKey { source: Arc::clone(&ends[0]), target: Arc::clone(&ends[1]), protocol: exchange.call.protocol };
            let edge = self.edges.entry(key).or_default();
            edge.add(exchange);
            edge.into_injected |= injected && at == 0;
        }
        if injected && let Some(node) = self.nodes.get_mut(&ids[1]) {
            node.data.is_injected = true;
        }
        self.mark_reported(&ids[0], exchange.source_reported);
        self.mark_reported(&ids[ids.len() - 1], exchange.destination_reported);
    }

    fn mark_reported(&mut self, id: &Id, reported: bool) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.reported |= reported;
        }
    }

    fn dest_service(&mut self, id: &Id, destination: &Peer<'_>) {
        if !known(destination.service) {
            return;
        }
        let service = ServiceRef {
            cluster: destination.cluster.to_owned(),
            namespace: destination.service_namespace.to_owned(),
            name: destination.service.to_owned(),
        };
        if let Some(node) = self.nodes.get_mut(id) {
            node.dest_services.insert(service);
        }
    }

    /// The node of a peer, made on first sight.
    pub fn node(&mut self, peer: &Peer<'_>, identity: &Identity, graph_type: GraphType) -> Id {
        if let Some((id, _)) = self.nodes.get_key_value(identity.id.as_str()) {
            return Arc::clone(id);
        }
        let id: Id = Arc::from(identity.id.as_str());
        self.nodes.insert(Arc::clone(&id), Node::new(Arc::clone(&id), peer, identity.kind, graph_type));
        id
    }

    /// Removes nodes together with the edges that touch them.
    pub fn remove(&mut self, doomed: &BTreeSet<Id>) {
        self.nodes.retain(|id, _| !doomed.contains(id));
        self.edges.retain(|key, _| !doomed.contains(&key.source) && !doomed.contains(&key.target));
    }

    /// Sums of the edges at each node, by protocol.
    #[must_use]
    pub fn flows(&self) -> HashMap<Id, BTreeMap<Protocol, Flow>> {
        let mut flows: HashMap<Id, BTreeMap<Protocol, Flow>> = HashMap::new();
        for (key, edge) in &self.edges {
            let source = flows.entry(Arc::clone(&key.source)).or_default().entry(key.protocol).or_default();
            source.outbound += edge.tally.amount;
            add_codes(&mut source.outbound_codes, &edge.codes);
            let target = flows.entry(Arc::clone(&key.target)).or_default().entry(key.protocol).or_default();
            target.inbound += edge.tally.amount;
            add_codes(&mut target.inbound_codes, &edge.codes);
        }
        flows
    }
}

fn add_codes(sums: &mut BTreeMap<String, u64>, codes: &Codes) {
    for (code, detail) in codes {
        match sums.get_mut(code) {
            Some(sum) => *sum += detail.amount,
            None => drop(sums.insert(code.clone(), detail.amount)),
        }
    }
}

impl Edge {
    fn add(&mut self, exchange: &Exchange<'_>) {
        self.tally.add(&exchange.tally);
        self.security.merge(&exchange.security);
        let told = exchange.rows.iter().map(|labels| &labels.telemetry).filter(|telemetry| !telemetry.is_empty());
        self.telemetry.extend(told.cloned());
        let (call, amount) = (&exchange.call, exchange.tally.amount);
        if amount > 0 {
            let detail = self.codes.entry(call.code.to_owned()).or_default();
            detail.amount += amount;
            *detail.flags.entry(call.flags.to_owned()).or_default() += amount;
            *detail.hosts.entry(call.host.to_owned()).or_default() += amount;
        }
    }

    /// Adds another edge that becomes one with this one.
    pub fn merge(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.security.merge(&other.security);
        self.telemetry.extend(other.telemetry.iter().cloned());
        for (code, from) in &other.codes {
            let detail = self.codes.entry(code.clone()).or_default();
            detail.amount += from.amount;
            for (into, from) in [(&mut detail.flags, &from.flags), (&mut detail.hosts, &from.hosts)] {
                for (word, amount) in from {
                    *into.entry(word.clone()).or_default() += amount;
                }
            }
        }
    }
}

impl Node {
    /// Keeps of a peer what a node of this kind shows.
    fn new(id: Id, peer: &Peer<'_>, kind: NodeType, graph_type: GraphType) -> Self {
        let full = |word: &str| known(word).then(|| word.to_owned());
        let mut data = empty_data(&id, kind, peer);
        match kind {
            NodeType::App => {
                data.app = full(peer.app);
                if graph_type == GraphType::VersionedApp {
                    data.workload = full(peer.workload);
                    data.version = full(peer.version).filter(|version| known_version(version));
                }
            }
            NodeType::Workload => {
                data.workload = full(peer.workload);
                data.app = full(peer.app);
                data.version = full(peer.version).filter(|version| known_version(version));
            }
            NodeType::Service => data.service = Some(peer.service.to_owned()),
            NodeType::Unknown => {
                data.workload = Some(peer.workload.to_owned());
                data.app = Some(peer.app.to_owned());
            }
            NodeType::Aggregate | NodeType::Box => {}
        }
        let egress_cluster = kind == NodeType::Service && [PASSTHROUGH, BLACK_HOLE].contains(&peer.service);
        Self { id, data, dest_services: BTreeSet::new(), egress_cluster, reported: false }
    }
}

/// A node that is nothing yet but in its place.
#[must_use]
pub fn empty_data(id: &str, node_type: NodeType, peer: &Peer<'_>) -> api::Node {
    api::Node {
        id: peer::hash(id),
        parent: None,
        node_type,
        cluster: peer.cluster.to_owned(),
        namespace: peer.node_namespace().to_owned(),
        workload: None,
        app: None,
        version: None,
        service: None,
        dest_services: Vec::new(),
        traffic: Vec::new(),
        health_data: None,
        is_box: None,
        is_gateway: None,
        has_vs: None,
        has_cb: false,
        has_fault_injection: false,
        has_mirroring: false,
        has_request_routing: false,
        has_request_timeout: false,
        has_traffic_shifting: false,
        is_dead: false,
        is_idle: false,
        is_inaccessible: false,
        is_injected: false,
        is_out_of_mesh: false,
        is_outside: false,
        is_root: false,
        labels: BTreeMap::new(),
        latency: None,
    }
}
