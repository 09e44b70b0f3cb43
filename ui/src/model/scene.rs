//! The collector's graph as cards, links and boxes with the numbers that are shown.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use sidelight_api::graph::{BoxBy, Edge, Graph, Health, Latency, Node, NodeType};

use super::find::Subject;
use super::view::View;

/// Smaller namespaces have no hub.
const HUB_MEMBERS_MIN: usize = 4;

/// What the drawing looks like; health and traffic together, worst last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// No traffic.
    #[default]
    Idle,
    Healthy,
    Degraded,
    Failing,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }

    fn of(health: Health, traffic: bool) -> Self {
        match health {
            Health::Failure => Self::Failing,
            Health::Degraded | Health::NotReady => Self::Degraded,
            Health::Healthy | Health::Na if traffic => Self::Healthy,
            Health::Healthy | Health::Na => Self::Idle,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Workload,
    App,
    Service,
    Gateway,
    External,
    Operation,
    Unknown,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub kind: Kind,
    pub name: String,
    pub version: Option<String>,
    /// `productpage/v1`, `svc:reviews`: how tests and texts call it.
    pub handle: String,
    pub tone: Tone,
    /// Requests per second that it answers; those it makes when it only calls.
    pub rate: f64,
    /// Failing requests, percent.
    pub errors: f64,
    /// Bytes per second, of TCP.
    pub bytes: f64,
    pub p95_ms: Option<f64>,
    /// The busiest of its namespace: named even from far away.
    pub hub: bool,
    /// Index of the box around it.
    pub parent: Option<usize>,
    pub node: Node,
}

/// An edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub from: usize,
    pub to: usize,
    pub tone: Tone,
    /// Requests per second; bytes per second of TCP.
    pub rate: f64,
    pub errors: f64,
    pub share: f64,
    pub p95_ms: Option<f64>,
    pub tcp: bool,
    /// Percent of the requests with mutual TLS.
    pub mtls: f64,
    pub edge: Edge,
}

/// A box.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub id: String,
    pub by: BoxBy,
    pub label: String,
    pub parent: Option<usize>,
    /// Worst of what is inside.
    pub tone: Tone,
    pub members: usize,
    pub failing: usize,
    pub degraded: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    pub cards: Vec<Card>,
    pub links: Vec<Link>,
    pub groups: Vec<Group>,
}

impl Scene {
    /// What of the graph the view wants to see.
    pub fn of(graph: &Graph, view: &View) -> Self {
        let (groups, group_of) = groups(graph, view);
        let incoming = outgoing_errors(graph);
        let shown = |node: &&Node| node.node_type != NodeType::Box && (view.idle || !is_idle(node));
        let nodes = graph.elements.nodes.iter().map(|element| &element.data).filter(shown);
        let cards: Vec<Card> = nodes.map(|node| card(node, parent_of(graph, node, &group_of), &incoming)).collect();
        let index: HashMap<&str, usize> = cards.iter().enumerate().map(|(i, card)| (card.node.id.as_str(), i)).collect();
        let links = graph.elements.edges.iter().filter_map(|element| {
            let (from, to) = (index.get(element.data.source.as_str())?, index.get(element.data.target.as_str())?);
            Some(link(&element.data, *from, *to))
        });
        let links = links.collect();
        let mut scene = Self { cards, links, groups };
        scene.judge_groups();
        scene.name_hubs();
        scene
    }

    pub fn card(&self, id: &str) -> Option<&Card> {
        self.cards.iter().find(|card| card.node.id == id)
    }

    pub fn link(&self, id: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.edge.id == id)
    }

    fn name_hubs(&mut self) {
        let mut busiest: HashMap<String, (usize, usize)> = HashMap::new();
        for (index, card) in self.cards.iter().enumerate() {
            let (best, members) = busiest.entry(card.node.namespace.clone()).or_insert((index, 0));
            *members += 1;
            if card.rate > self.cards[*best].rate {
                *best = index;
            }
        }
        for (best, _) in busiest.into_values().filter(|(_, members)| *members >= HUB_MEMBERS_MIN) {
            self.cards[best].hub = true;
        }
    }

    /// Members and health of each box, nested ones included.
    fn judge_groups(&mut self) {
        for card in &self.cards {
            let mut above = card.parent;
            while let Some(own) = above {
                let group = &mut self.groups[own];
                // A service in its app's box is not one more version.
                group.members += usize::from(group.by != BoxBy::App || card.kind != Kind::Service);
                group.tone = group.tone.max(card.tone);
                group.failing += usize::from(card.tone == Tone::Failing);
                group.degraded += usize::from(card.tone == Tone::Degraded);
                above = group.parent;
            }
        }
    }
}

/// The boxes that the view shows, outer ones first, and where each of the graph's boxes went.
fn groups(graph: &Graph, view: &View) -> (Vec<Group>, HashMap<String, usize>) {
    let mut groups = Vec::new();
    let mut group_of = HashMap::new();
    for by in [BoxBy::Cluster, BoxBy::Namespace, BoxBy::App] {
        for node in graph.elements.nodes.iter().map(|element| &element.data).filter(|node| node.is_box == Some(by)) {
            let wanted = match by {
                BoxBy::Cluster | BoxBy::Namespace => view.namespace_boxes,
                BoxBy::App => view.app_boxes,
            };
            if !wanted {
                continue;
            }
            group_of.insert(node.id.clone(), groups.len());
            groups.push(Group {
                id: node.id.clone(),
                by,
                label: box_label(node, by),
                parent: parent_of(graph, node, &group_of),
                tone: Tone::Idle,
                members: 0,
                failing: 0,
                degraded: 0,
            });
        }
    }
    (groups, group_of)
}

fn box_label(node: &Node, by: BoxBy) -> String {
    match by {
        BoxBy::Cluster => node.cluster.clone(),
        BoxBy::Namespace => node.namespace.clone(),
        BoxBy::App => node.app.clone().unwrap_or_default(),
    }
}

/// The nearest box around that is shown.
fn parent_of(graph: &Graph, node: &Node, shown: &HashMap<String, usize>) -> Option<usize> {
    let mut above = node.parent.as_deref();
    // Boxes nest three deep; the bound keeps a malformed answer from looping.
    for _ in 0..4 {
        let id = above?;
        if let Some(index) = shown.get(id) {
            return Some(*index);
        }
        above =
            graph.elements.nodes.iter().find(|element| element.data.id == id).and_then(|element| element.data.parent.as_deref());
    }
    None
}

/// Failing share of what each node sends: a node that only calls has no incoming classes to judge by.
fn outgoing_errors(graph: &Graph) -> HashMap<&str, f64> {
    let mut sums: HashMap<&str, (f64, f64)> = HashMap::new();
    for edge in graph.elements.edges.iter().map(|element| &element.data).filter(|edge| edge.traffic.protocol != "tcp") {
        let rate = number(&edge.traffic.rates, &edge.traffic.protocol);
        let sum = sums.entry(edge.source.as_str()).or_default();
        sum.0 += rate;
        sum.1 += rate * number(&edge.traffic.rates, &format!("{}PercentErr", edge.traffic.protocol));
    }
    sums.into_iter().map(|(id, (rate, errors))| (id, if rate > 0.0 { errors / rate } else { 0.0 })).collect()
}

fn is_idle(node: &Node) -> bool {
    node.is_idle || node.traffic.iter().all(|traffic| traffic.rates.values().all(|rate| parse(rate) <= 0.0))
}

fn card(node: &Node, parent: Option<usize>, outgoing_errors: &HashMap<&str, f64>) -> Card {
    let name = name_of(node);
    // A workload's name mostly says its version already.
    let version = version_of(node).filter(|version| !name.ends_with(&format!("-{version}")));
    let (incoming, errors) = requests(node, "In");
    let (outgoing, _) = requests(node, "Out");
    let only_calls = incoming <= 0.0;
    let rate = if only_calls { outgoing } else { incoming };
    let own_errors = if only_calls { outgoing_errors.get(node.id.as_str()).copied().unwrap_or_default() } else { errors };
    let bytes = tcp(node);
    let health = node.health_data.as_ref().map_or(Health::Na, |health| health.status.status);
    Card {
        kind: kind_of(node),
        handle: handle_of(node),
        tone: Tone::of(health, !is_idle(node)),
        rate,
        errors: own_errors,
        bytes,
        p95_ms: node.latency.map(|latency| latency.p95),
        hub: false,
        parent,
        name,
        version,
        node: node.clone(),
    }
}

/// Requests per second of all protocols in one direction, and the failing percentage, counted as Kiali does.
fn requests(node: &Node, direction: &str) -> (f64, f64) {
    let mut all = 0.0;
    let mut failing = 0.0;
    for traffic in node.traffic.iter().filter(|traffic| traffic.protocol != "tcp") {
        let rate = |class: &str| number(&traffic.rates, &format!("{}{direction}{class}", traffic.protocol));
        all += rate("");
        failing += rate("4xx") + rate("5xx") + rate("Err") + rate("NoResponse");
    }
    (all, if all > 0.0 { (failing / all * 100.0).min(100.0) } else { 0.0 })
}

fn tcp(node: &Node) -> f64 {
    let rates = node.traffic.iter().filter(|traffic| traffic.protocol == "tcp").map(|traffic| &traffic.rates);
    rates.map(|rates| number(rates, "tcpIn").max(number(rates, "tcpOut"))).sum()
}

fn kind_of(node: &Node) -> Kind {
    let outside = node.service.is_some() && node.is_inaccessible;
    match node.node_type {
        _ if node.is_gateway.is_some() => Kind::Gateway,
        _ if outside => Kind::External,
        NodeType::Service => Kind::Service,
        // One version of an app is a workload.
        NodeType::App if version_of(node).is_some() || node.workload.is_some() => Kind::Workload,
        NodeType::App => Kind::App,
        NodeType::Aggregate => Kind::Operation,
        NodeType::Workload | NodeType::Box => Kind::Workload,
        NodeType::Unknown => Kind::Unknown,
    }
}

fn known(word: Option<&String>) -> Option<String> {
    word.filter(|word| !word.is_empty() && word.as_str() != "unknown").cloned()
}

pub fn version_of(node: &Node) -> Option<String> {
    known(node.version.as_ref()).filter(|version| version != "latest")
}

fn name_of(node: &Node) -> String {
    let candidates = match node.node_type {
        NodeType::Service => [&node.service, &node.app, &node.workload],
        NodeType::Workload => [&node.workload, &node.app, &node.service],
        _ => [&node.app, &node.workload, &node.service],
    };
    candidates.into_iter().find_map(|word| known(word.as_ref())).unwrap_or_else(|| "unknown".to_owned())
}

fn handle_of(node: &Node) -> String {
    let name = name_of(node);
    match (node.node_type, version_of(node)) {
        (NodeType::Service, _) => format!("svc:{name}"),
        (NodeType::App, Some(version)) => format!("{name}/{version}"),
        _ => name,
    }
}

fn link(edge: &Edge, from: usize, to: usize) -> Link {
    let protocol = edge.traffic.protocol.as_str();
    let tcp = protocol == "tcp";
    let rate = number(&edge.traffic.rates, protocol);
    Link {
        from,
        to,
        tone: Tone::of(edge.health_status.unwrap_or_default(), rate > 0.0),
        rate,
        errors: number(&edge.traffic.rates, &format!("{protocol}PercentErr")),
        share: number(&edge.traffic.rates, &format!("{protocol}PercentReq")),
        p95_ms: edge.latency.map(|latency| latency.p95).or_else(|| edge.response_time.as_deref().map(parse)).filter(|_| !tcp),
        tcp,
        mtls: edge.is_mtls.as_deref().map_or(0.0, parse),
        edge: edge.clone(),
    }
}

pub fn number(rates: &BTreeMap<String, String>, key: &str) -> f64 {
    rates.get(key).map_or(0.0, |word| parse(word))
}

fn parse(word: &str) -> f64 {
    word.parse().ok().filter(|number: &f64| number.is_finite()).unwrap_or_default()
}

impl Card {
    pub fn subject(&self) -> Subject {
        let latency = self.node.latency.unwrap_or(NO_LATENCY);
        let names = [self.node.app.as_ref(), self.node.workload.as_ref(), self.node.service.as_ref()];
        let called = self.node.dest_services.iter().map(|service| service.name.clone());
        let mut names: Vec<String> = names.into_iter().filter_map(known).chain(called).collect();
        if names.is_empty() {
            names.push(self.name.clone());
        }
        Subject {
            names,
            namespaces: vec![self.node.namespace.clone()],
            app: self.node.app.clone().unwrap_or_default(),
            version: self.node.version.clone().unwrap_or_default(),
            protocols: self.node.traffic.iter().map(|traffic| traffic.protocol.clone()).collect(),
            rate: self.rate,
            errors: self.errors,
            p50_ms: latency.p50,
            p95_ms: latency.p95,
            p99_ms: latency.p99,
            health: self.node.health_data.as_ref().map_or(Health::Na, |health| health.status.status),
            idle: self.tone == Tone::Idle,
            // A node is not "without mutual TLS"; its edges are.
            mtls: true,
            edge: false,
        }
    }
}

const NO_LATENCY: Latency = Latency { avg: 0.0, p50: 0.0, p95: 0.0, p99: 0.0 };

impl Link {
    pub fn subject(&self, cards: &[Card]) -> Subject {
        let latency = self.edge.latency.unwrap_or(NO_LATENCY);
        let ends = [&cards[self.from], &cards[self.to]];
        Subject {
            // Names of nodes find nodes only: an edge has none.
            names: Vec::new(),
            namespaces: ends.map(|card| card.node.namespace.clone()).to_vec(),
            app: String::new(),
            version: String::new(),
            protocols: vec![self.edge.traffic.protocol.clone()],
            rate: if self.tcp { 0.0 } else { self.rate },
            errors: self.errors,
            p50_ms: latency.p50,
            p95_ms: latency.p95,
            p99_ms: latency.p99,
            health: self.edge.health_status.unwrap_or_default(),
            idle: self.rate <= 0.0,
            mtls: self.mtls >= 100.0,
            edge: true,
        }
    }
}
