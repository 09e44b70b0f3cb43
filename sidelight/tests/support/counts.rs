//! The three places where a request is counted: the proxies' metrics, their access logs, the collector's graph.

use std::collections::BTreeMap;

use bookinfo::client::{HttpClient, Route};
use http::HeaderMap;
use prometheus_parse::{Scrape, Value};
use sidelight_api::graph::{Graph, Node};
use sidelight_api::timeline::Timeline;

use super::{LIMIT, Mesh, WINDOW_S, eventually};

/// One series of a proxy's metrics.
#[derive(Clone, Debug)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: u64,
}

impl Sample {
    pub fn has(&self, wanted: &[(&str, &str)]) -> bool {
        wanted.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|found| found == value))
    }
}

impl Mesh {
    /// All series of a counter at one workload's proxy, read from where Prometheus would read them.
    pub async fn counters(&self, workload: usize, metric: &str) -> Vec<Sample> {
        let place = &self.workloads[workload].place;
        let url = format!("http://{}:{}/stats/prometheus", place.ip, place.ports.status);
        let answer = HttpClient::new(Route::Direct).get(url.parse().unwrap(), HeaderMap::new(), LIMIT).await.unwrap();
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let samples = scrape.samples.into_iter().filter(|sample| sample.metric == metric);
        let value = |value| match value {
            Value::Counter(v) | Value::Untyped(v) | Value::Gauge(v) => v as u64,
            other => panic!("{metric} is no counter: {other:?}"),
        };
        let labels = |labels: prometheus_parse::Labels| labels.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        samples.map(|sample| Sample { labels: labels(sample.labels), value: value(sample.value) }).collect()
    }

    /// Requests that all proxies together counted under these labels.
    pub async fn requests_total(&self, wanted: &[(&str, &str)]) -> u64 {
        let mut total = 0;
        for workload in 0..self.workloads.len() {
            let samples = self.counters(workload, "istio_requests_total").await;
            total += samples.iter().filter(|sample| sample.has(wanted)).map(|sample| sample.value).sum::<u64>();
        }
        total
    }

    /// Lines of the access logs of a workload's proxies that contain `part`; waits for so many, then for no more.
    pub async fn log_lines(&self, workload: &str, part: &str, expected: usize) -> usize {
        eventually(&format!("{expected} lines with `{part}` at {workload}"), async || {
            let count = self.lines_now(workload, part);
            (count >= expected).then_some(count)
        })
        .await
    }

    fn lines_now(&self, workload: &str, part: &str) -> usize {
        let proxies = self.workloads.iter().filter(|w| w.place.role.workload == workload);
        proxies.map(|w| w.access_log().lines().filter(|line| line.contains(part)).count()).sum()
    }

    /// The graph of the last ten minutes, without service nodes.
    pub async fn graph(&self, graph_type: &str) -> Graph {
        let namespaces = format!("{},istio-system", self.namespace);
        self.get(&format!(
            "/api/namespaces/graph?namespaces={namespaces}&graphType={graph_type}&duration={WINDOW_S}s&injectServiceNodes=false"
        ))
        .await
    }

    /// Requests of one edge of the workload graph, exactly: its rate over time, summed.
    pub async fn edge_requests(&self, source: &str, target: &str) -> u64 {
        let graph = self.graph("workload").await;
        let id = |workload: &str| node(&graph, workload).map(|node| node.id.clone());
        let (Some(source), Some(target)) = (id(source), id(target)) else { return 0 };
        let namespaces = format!("{},istio-system", self.namespace);
        let timeline: Timeline = self
            .get(&format!(
                "/api/timeline?namespaces={namespaces}&duration={WINDOW_S}s&step=10&graphType=workload&source={source}&target={target}"
            ))
            .await;
        let requests: f64 = timeline.points.iter().map(|point| point.rate * timeline.step_s as f64).sum();
        assert!((requests - requests.round()).abs() < 1e-6, "{requests} is not whole");
        requests.round() as u64
    }

    /// Requests per second of one edge of the workload graph as it is shown, and the seconds that they are spread over.
    pub async fn edge_rate(&self, source: &str, target: &str) -> (String, u64) {
        let graph = self.graph("workload").await;
        let id = |workload: &str| node(&graph, workload).map(|node| node.id.clone()).unwrap();
        let (source, target) = (id(source), id(target));
        let mut edges = graph.elements.edges.iter().map(|edge| &edge.data);
        let edge = edges.find(|edge| edge.source == source && edge.target == target).unwrap();
        (edge.traffic.rates["http"].clone(), graph.duration)
    }

    /// Waits for the collector's next scrapes to bring the edge to at least `expected`; what it then is.
    pub async fn settled_edge(&self, source: &str, target: &str, expected: u64) -> u64 {
        eventually(&format!("{source} → {target} has {expected} requests"), async || {
            let count = self.edge_requests(source, target).await;
            (count >= expected).then_some(count)
        })
        .await
    }
}

#[must_use]
pub fn node<'g>(graph: &'g Graph, workload: &str) -> Option<&'g Node> {
    graph.elements.nodes.iter().map(|node| &node.data).find(|node| node.workload.as_deref() == Some(workload))
}

/// A span as Zipkin's API gives it.
#[derive(Clone, Debug)]
pub struct Span {
    pub id: String,
    /// Empty for a root.
    pub parent_id: String,
    pub service: String,
    pub kind: String,
}

impl Mesh {
    /// The spans of a trace that have come in so far.
    pub async fn trace(&self, id: &str) -> Vec<Span> {
        let (status, body) = self.ask(&format!("/api/v2/trace/{id}")).await;
        if status == http::StatusCode::NOT_FOUND {
            return Vec::new();
        }
        let spans: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let span = |span: &serde_json::Value| Span {
            id: text(&span["id"]),
            parent_id: text(&span["parentId"]),
            service: text(&span["localEndpoint"]["serviceName"]),
            kind: text(&span["kind"]),
        };
        spans.iter().map(span).collect()
    }
}
