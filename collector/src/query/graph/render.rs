//! Writes the finished graph as JSON types: rates as rounded strings, in Kiali's order.

use std::collections::BTreeMap;

use sidelight_api::graph::{self as api, BoxBy, EdgeElement, EdgeTraffic, Elements, NodeElement, NodeTraffic, Responses};

use super::boxes;
use super::call::Protocol;
use super::options::GraphOptions;
use super::peer;
use super::traffic::{Edge, EdgeKey, Flow, Id, TrafficMap};
use crate::query::{latency, rounding, window};
use crate::store::{Histogram, Window};

/// Nodes and edges, boxes included, sorted.
#[must_use]
pub fn elements(map: TrafficMap, options: &GraphOptions) -> Elements {
    let flows = map.flows();
    let mut edges: Vec<api::Edge> = map.edges.iter().map(|(key, edge)| render_edge(key, edge, &flows, options.window)).collect();
    let mut times = node_times(&map);
    let nothing = BTreeMap::new();
    let nodes = map.nodes.into_values().map(|mut node| {
        node.data.traffic = node_traffic(flows.get(&node.id).unwrap_or(&nothing), options.window);
        node.data.latency = times.remove(&node.id).as_ref().and_then(latency::latency);
        node.data.dest_services = node.dest_services.into_iter().collect();
        node.data
    });
    let mut nodes: Vec<api::Node> = nodes.collect();
    boxes::draw(&mut nodes, options);
    for health in nodes.iter_mut().filter_map(|node| node.health_data.as_mut()) {
        round_health(health);
    }
    nodes.sort_by(|a, b| order(a).cmp(&order(b)));
    edges.sort_by(|a, b| (&a.source, &a.target, &a.traffic.protocol).cmp(&(&b.source, &b.target, &b.traffic.protocol)));
    Elements {
        nodes: nodes.into_iter().map(|data| NodeElement { data }).collect(),
        edges: edges.into_iter().map(|data| EdgeElement { data }).collect(),
    }
}

/// Last, because boxes add up the rates of their members.
fn round_health(health: &mut api::HealthData) {
    let round = |number: &mut f64| *number = rounding::thousandths(*number);
    round(&mut health.status.error_ratio);
    round(&mut health.status.total_request_rate);
    let requests = &mut health.requests;
    let codes = requests.inbound.values_mut().chain(requests.outbound.values_mut());
    codes.flat_map(BTreeMap::values_mut).for_each(round);
}

/// Boxes first, because a parent must be known before its members.
fn order(node: &api::Node) -> impl Ord {
    let rank = match node.is_box {
        Some(BoxBy::Cluster) => 0,
        Some(BoxBy::Namespace) => 1,
        Some(BoxBy::App) => 2,
        None => 3,
    };
    let (place, name) = ((node.cluster.clone(), node.namespace.clone()), (node.app.clone(), node.version.clone()));
    (rank, place, name, node.service.clone(), node.workload.clone(), node.id.clone())
}

/// Time of the requests that a node answered; of those it made when it only calls.
fn node_times(map: &TrafficMap) -> BTreeMap<Id, Histogram> {
    let (mut answered, mut made): (BTreeMap<Id, Histogram>, BTreeMap<Id, Histogram>) = Default::default();
    for (key, edge) in &map.edges {
        answered.entry(key.target.clone()).or_default().add(&edge.tally.duration);
        made.entry(key.source.clone()).or_default().add(&edge.tally.duration);
    }
    for (id, histogram) in answered {
        made.insert(id, histogram);
    }
    made
}

fn node_traffic(flows: &BTreeMap<Protocol, Flow>, over: Window) -> Vec<NodeTraffic> {
    let traffic = flows.iter().map(|(&protocol, flow)| {
        let mut rates = Rates::new(over);
        let word = protocol.as_str();
        rates.add(format!("{word}In"), flow.inbound);
        rates.add(format!("{word}Out"), flow.outbound);
        for (class, amount) in classes(protocol, &flow.inbound_codes) {
            rates.add(format!("{word}In{class}"), amount);
        }
        NodeTraffic { protocol: word.to_owned(), rates: rates.texts }
    });
    traffic.filter(|traffic| !traffic.rates.is_empty()).collect()
}

fn render_edge(
    key: &EdgeKey,
    edge: &Edge,
    flows: &std::collections::HashMap<Id, BTreeMap<Protocol, Flow>>,
    over: Window,
) -> api::Edge {
    let (source, target) = (peer::hash(&key.source), peer::hash(&key.target));
    let out = flows.get(&key.source).and_then(|flows| flows.get(&key.protocol)).map_or(0, |flow| flow.outbound);
    api::Edge {
        id: peer::hash(&format!("{source}.{target}.{}", key.protocol.as_str())),
        source,
        target,
        dest_principal: edge.destination_principal.as_ref().map(ToString::to_string),
        source_principal: edge.source_principal.as_ref().map(ToString::to_string),
        health_status: edge.health,
        is_mtls: edge.is_mtls.clone(),
        response_time: edge.response_time.clone(),
        throughput: edge.throughput.clone(),
        traffic: edge_traffic(key.protocol, edge, out, over),
        latency: latency::latency(&edge.tally.duration),
        telemetry: edge.telemetry.iter().map(ToString::to_string).collect(),
    }
}

fn edge_traffic(protocol: Protocol, edge: &Edge, source_out: u64, over: Window) -> EdgeTraffic {
    let word = protocol.as_str();
    let codes: BTreeMap<String, u64> = edge.codes.iter().map(|(code, detail)| (code.clone(), detail.amount)).collect();
    let total = edge.tally.amount;
    let mut rates = Rates::new(over);
    rates.add(word.to_owned(), total);
    let mut errors = 0;
    for (class, amount) in classes(protocol, &codes) {
        rates.add(format!("{word}{class}"), amount);
        errors += if class == "3xx" { 0 } else { amount };
    }
    if protocol != Protocol::Tcp {
        rates.share(format!("{word}PercentErr"), errors, total);
        rates.share(format!("{word}PercentReq"), total, source_out);
    }
    EdgeTraffic { protocol: word.to_owned(), rates: rates.texts, responses: responses(edge), requests: total }
}

fn responses(edge: &Edge) -> BTreeMap<String, Responses> {
    let total = edge.tally.amount;
    let shares = |amounts: &BTreeMap<String, u64>| {
        amounts.iter().map(|(word, amount)| (word.clone(), rounding::percent(rounding::share(*amount, total)))).collect()
    };
    let detail = edge.codes.iter();
    detail
        .map(|(code, detail)| (code.clone(), Responses { flags: shares(&detail.flags), hosts: shares(&detail.hosts) }))
        .collect()
}

/// Amounts by the class that Kiali names in rate keys; successes have none.
fn classes(protocol: Protocol, codes: &BTreeMap<String, u64>) -> BTreeMap<&'static str, u64> {
    let mut classes = BTreeMap::new();
    for (code, amount) in codes {
        if let Some(class) = class(protocol, code) {
            *classes.entry(class).or_default() += amount;
        }
    }
    classes
}

fn class(protocol: Protocol, code: &str) -> Option<&'static str> {
    match (protocol, code.as_bytes()) {
        (Protocol::Tcp, _) => None,
        (_, b"-") => Some("NoResponse"),
        (Protocol::Http, [b'3', ..]) => Some("3xx"),
        (Protocol::Http, [b'4', ..]) => Some("4xx"),
        (Protocol::Http, [b'5', ..]) => Some("5xx"),
        (Protocol::Http, _) => None,
        // Proxies write HTTP's code where gRPC's status is missing.
        (Protocol::Grpc, [first, _, _]) => matches!(first, b'4' | b'5').then_some("Err"),
        (Protocol::Grpc, b"0") => None,
        (Protocol::Grpc, _) => Some("Err"),
    }
}

/// Rates as text; those that are zero are left out.
struct Rates {
    over: Window,
    texts: BTreeMap<String, String>,
}

impl Rates {
    fn new(over: Window) -> Self {
        Self { over, texts: BTreeMap::new() }
    }

    fn add(&mut self, name: String, amount: u64) {
        if amount > 0 {
            self.texts.insert(name, rounding::rate(window::per_second(self.over, amount as f64)));
        }
    }

    fn share(&mut self, name: String, part: u64, total: u64) {
        if part > 0 {
            self.texts.insert(name, rounding::percent(rounding::share(part, total)));
        }
    }
}
