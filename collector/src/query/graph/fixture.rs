//! Says in a few words what a mesh's proxies have counted, for tests.
//!
//! Workloads are written `namespace/app-version` (`bookinfo/reviews-v2`) or `namespace/app`.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use sidelight_api::graph::{Edge, Graph, Node};
use sidelight_mesh::config::MeshConfig;

use super::facts::{Instance, MeshFacts, WorkloadFacts};
use super::options::GraphOptions;
use super::{Input, build};
use crate::pipeline::ISTIO_BOUNDS;
use crate::query::window::Moment;
use crate::store::{EdgeLabels, EdgeTotals, Histogram, Totals, Window};

pub const CLUSTER: &str = "c";
/// One minute, so that sixty requests are one per second.
pub const WINDOW: Window = Window { from_ms: 1_700_000_000_000, to_ms: 1_700_000_060_000 };

/// What was counted, and what is registered.
#[derive(Clone, Debug, Default)]
pub struct Fixture {
    pub rows: Vec<EdgeTotals>,
    pub mesh: MeshFacts,
}

/// Requests of one kind from one workload.
#[derive(Clone, Debug)]
pub struct Calls {
    labels: EdgeLabels,
    totals: Totals,
    source: bool,
    destination: bool,
}

impl Fixture {
    #[must_use]
    pub fn and(mut self, calls: Calls) -> Self {
        self.rows.extend(calls.rows());
        self
    }

    /// A workload with `connected` of `instances` proxies.
    #[must_use]
    pub fn workload(mut self, name: &str, instances: u32, connected: u32) -> Self {
        let (namespace, workload, app, version) = split(name);
        let labels = [("app", &app), ("version", &version), ("tier", &"demo".to_owned())];
        let facts = WorkloadFacts {
            cluster: CLUSTER.to_owned(),
            labels: labels.map(|(name, value)| (name.to_owned(), value.clone())).into(),
            app,
            version,
            gateway: None,
            instances,
            connected,
            synced: Some(connected),
        };
        self.mesh.workloads.insert((namespace, workload), facts);
        self
    }

    #[must_use]
    pub fn graph(&self, options: &GraphOptions) -> Graph {
        build(Input { edges: &self.rows, fresh: &[], mesh: &self.mesh, last_sample_ms: None }, options)
    }
}

/// Requests from a workload.
#[must_use]
pub fn from(source: &str) -> Calls {
    let (namespace, workload, app, version) = split(source);
    let labels = with(
        EdgeLabels::default(),
        &[
            ("source_workload", &workload),
            ("source_canonical_service", &app),
            ("source_canonical_revision", &version),
            ("source_workload_namespace", &namespace),
            ("source_cluster", CLUSTER),
            ("source_principal", "unknown"),
            ("destination_principal", "unknown"),
            ("request_protocol", "http"),
            ("response_code", "200"),
            ("response_flags", "-"),
            ("connection_security_policy", "none"),
        ],
    );
    Calls { labels, totals: Totals { requests: 1, ..Totals::default() }, source: true, destination: true }
}

/// Requests from somewhere without a proxy: only the destination tells.
#[must_use]
pub fn from_outside() -> Calls {
    let unknown = ["source_workload", "source_canonical_service", "source_workload_namespace", "source_cluster"];
    let mut calls = from("x/x");
    for name in unknown {
        calls = calls.label(name, "unknown");
    }
    calls.label("source_canonical_revision", "latest").told_by_destination()
}

impl Calls {
    /// Through the service of the workload's app.
    #[must_use]
    pub fn to(self, workload: &str) -> Self {
        let (namespace, name, app, version) = split(workload);
        self.through(&namespace, &app)
            .label("destination_workload", &name)
            .label("destination_workload_namespace", &namespace)
            .label("destination_canonical_service", &app)
            .label("destination_canonical_revision", &version)
            .label("destination_cluster", CLUSTER)
    }

    /// To a service, without ever reaching a workload: only the source tells.
    #[must_use]
    pub fn to_service(self, service: &str) -> Self {
        let (namespace, service) = service.split_once('/').unwrap();
        self.through(namespace, service).unanswered()
    }

    fn through(self, namespace: &str, service: &str) -> Self {
        self.label("destination_service", &format!("{service}.{namespace}.svc.cluster.local"))
            .label("destination_service_name", service)
            .label("destination_service_namespace", namespace)
    }

    /// Through the proxy to a host outside the mesh.
    #[must_use]
    pub fn to_passthrough(self, host: &str) -> Self {
        self.label("destination_service", host)
            .label("destination_service_name", "PassthroughCluster")
            .label("destination_service_namespace", "unknown")
            .unanswered()
    }

    fn unanswered(self) -> Self {
        self.label("destination_workload", "unknown")
            .label("destination_workload_namespace", "unknown")
            .label("destination_canonical_service", "unknown")
            .label("destination_canonical_revision", "latest")
            .label("destination_cluster", "unknown")
            .sides(true, false)
    }

    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.totals.requests = requests;
        self
    }

    #[must_use]
    pub fn answered(self, code: &str) -> Self {
        self.label("response_code", code)
    }

    #[must_use]
    pub fn flags(self, flags: &str) -> Self {
        self.label("response_flags", flags)
    }

    /// Every request took this long.
    #[must_use]
    pub fn took(mut self, ms: f64) -> Self {
        self.totals.duration = durations(&[(ms, self.totals.requests)]);
        self
    }

    /// Bytes of all requests and of all responses.
    #[must_use]
    pub fn bytes(mut self, requests: f64, responses: f64) -> Self {
        (self.totals.request_bytes, self.totals.response_bytes) = (requests, responses);
        self
    }

    #[must_use]
    pub fn grpc(self, status: &str) -> Self {
        self.label("request_protocol", "grpc").label("grpc_response_status", status)
    }

    /// Bytes that the client sent and received instead of requests.
    #[must_use]
    pub fn tcp(mut self, sent: u64, received: u64) -> Self {
        self.totals = Totals { tcp_received_bytes: sent, tcp_sent_bytes: received, ..Totals::default() };
        self.label("request_protocol", "tcp").label("response_code", "")
    }

    #[must_use]
    pub fn mutual_tls(self, source: &str, destination: &str) -> Self {
        self.label("connection_security_policy", "mutual_tls")
            .label("source_principal", source)
            .label("destination_principal", destination)
    }

    #[must_use]
    pub fn told_by_source(self) -> Self {
        self.sides(true, false)
    }

    #[must_use]
    pub fn told_by_destination(self) -> Self {
        self.sides(false, true)
    }

    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels = with(self.labels, &[(name, value)]);
        self
    }

    /// Keeps to what has been narrowed before.
    fn sides(mut self, source: bool, destination: bool) -> Self {
        (self.source, self.destination) = (self.source && source, self.destination && destination);
        self
    }

    #[must_use]
    pub fn rows(self) -> Vec<EdgeTotals> {
        let sides = [("source", self.source), ("destination", self.destination)];
        let told = sides.into_iter().filter(|(_, tells)| *tells);
        told.map(|(reporter, _)| {
            let mut labels = with(self.labels.clone(), &[("reporter", reporter)]);
            if reporter == "source" {
                labels = with(labels, &[("connection_security_policy", "unknown")]);
            }
            EdgeTotals { labels: Arc::new(labels), totals: self.totals.clone() }
        })
        .collect()
    }
}

fn split(name: &str) -> (String, String, String, String) {
    let (namespace, workload) = name.split_once('/').unwrap();
    let (app, version) = match workload.rsplit_once("-v") {
        Some((app, number)) => (app, format!("v{number}")),
        None => (workload, "latest".to_owned()),
    };
    (namespace.to_owned(), workload.to_owned(), app.to_owned(), version)
}

/// Labels with some of them changed.
#[must_use]
pub fn with(mut labels: EdgeLabels, changes: &[(&str, &str)]) -> EdgeLabels {
    for (name, value) in changes {
        assert!(labels.set(name, Arc::from(*value)), "no label {name}");
    }
    labels
}

/// A request from productpage to reviews-v2, as the destination tells it.
#[must_use]
pub fn labels() -> EdgeLabels {
    let rows = from("bookinfo/productpage-v1").to("bookinfo/reviews-v2").told_by_destination().rows();
    EdgeLabels::clone(&rows[0].labels)
}

/// A histogram with Istio's bounds that holds each value so many times.
#[must_use]
pub fn durations(values: &[(f64, u64)]) -> Histogram {
    let bounds = ISTIO_BOUNDS;
    let mut histogram = Histogram { bounds: Arc::from(bounds), counts: vec![0; bounds.len() + 1], sum: 0.0 };
    for (value, times) in values {
        histogram.counts[bounds.partition_point(|bound| bound < value)] += times;
        histogram.sum += value * *times as f64;
    }
    histogram
}

/// A minute of the sample application: 60 pages a second apart, reviews split evenly over its versions.
#[must_use]
pub fn bookinfo() -> Fixture {
    Fixture::default()
        .and(from("istio-system/istio-ingressgateway").to("bookinfo/productpage-v1").times(60).took(40.0))
        .and(from("bookinfo/productpage-v1").to("bookinfo/details-v1").times(60).took(3.0))
        .and(from("bookinfo/productpage-v1").to("bookinfo/reviews-v1").times(20).took(7.0))
        .and(from("bookinfo/productpage-v1").to("bookinfo/reviews-v2").times(20).took(20.0))
        .and(from("bookinfo/productpage-v1").to("bookinfo/reviews-v3").times(20).took(20.0))
        .and(from("bookinfo/reviews-v2").to("bookinfo/ratings-v1").times(20).took(3.0))
        .and(from("bookinfo/reviews-v3").to("bookinfo/ratings-v1").times(20).took(3.0))
}

/// Options over [`WINDOW`] as the dashboard sends them.
#[must_use]
pub fn options(query: &str) -> GraphOptions {
    let params = crate::query::params::Params::parse(&format!("duration=60s&{query}"));
    let moment = Moment { now_ms: WINDOW.to_ms, ..Moment::default() };
    GraphOptions::read(&params, &moment).unwrap()
}

/// The node that shows this workload, service or app.
#[must_use]
pub fn node<'a>(graph: &'a Graph, name: &str) -> &'a Node {
    find_node(graph, name).unwrap_or_else(|| panic!("no node {name} in {:?}", names(graph)))
}

#[must_use]
pub fn find_node<'a>(graph: &'a Graph, name: &str) -> Option<&'a Node> {
    graph.elements.nodes.iter().map(|element| &element.data).find(|data| data.is_box.is_none() && name_of(data) == name)
}

/// Names of all nodes but boxes, sorted.
#[must_use]
pub fn names(graph: &Graph) -> Vec<String> {
    let nodes = graph.elements.nodes.iter().map(|element| &element.data).filter(|data| data.is_box.is_none());
    let mut names: Vec<String> = nodes.map(name_of).collect();
    names.sort();
    names
}

/// The edge between two nodes.
#[must_use]
pub fn edge<'a>(graph: &'a Graph, source: &str, target: &str) -> &'a Edge {
    let (from, to) = (&node(graph, source).id, &node(graph, target).id);
    let edges = graph.elements.edges.iter().map(|element| &element.data);
    let mut found = edges.filter(|data| data.source == *from && data.target == *to);
    found.next().unwrap_or_else(|| panic!("no edge {source} -> {target}"))
}

/// `svc:reviews`, `wl:reviews-v1`, `app:reviews` or `unknown`.
fn name_of(data: &Node) -> String {
    use sidelight_api::graph::NodeType;
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    match data.node_type {
        NodeType::Service => format!("svc:{}", word(&data.service)),
        NodeType::App if data.workload.is_none() => format!("app:{}", word(&data.app)),
        NodeType::Unknown => "unknown".to_owned(),
        _ => format!("wl:{}", word(&data.workload)),
    }
}

/// Facts of configuration objects alone.
#[must_use]
pub fn facts(config: &MeshConfig) -> MeshFacts {
    MeshFacts::new(config, std::iter::empty::<Instance<'_>>())
}
