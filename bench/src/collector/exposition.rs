//! Proxies that tell Istio's standard metrics: text whose counters grow from scrape to scrape.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::http::header;
use axum::routing::get;

use super::mesh::Pod;
use super::random::Random;

/// Series of one edge: a counter, and three histograms of 20 buckets with sum and count.
pub const SERIES_PER_EDGE: u64 = 1 + 3 * 22;
const BOUNDS: [&str; 20] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000", "300000",
    "600000", "1800000", "3600000", "+Inf",
];
const HISTOGRAMS: [&str; 3] = ["istio_request_bytes", "istio_request_duration_milliseconds", "istio_response_bytes"];
/// Part of the edges that have traffic between two scrapes.
const BUSY_PERCENT: u64 = 60;

/// One proxy's metrics.
pub struct Target {
    edges: Vec<Edge>,
    random: Random,
    uptime_s: u64,
}

struct Edge {
    labels: String,
    requests: u64,
    histograms: [Histogram; 3],
}

#[derive(Clone, Copy, Default)]
struct Histogram {
    counts: [u64; 20],
    sum: u64,
}

impl Target {
    pub fn new(number: u64, edges: u64) -> Self {
        let mut random = Random::new(1000 + number);
        let pods = Pod::all();
        let own = &pods[number as usize % pods.len()];
        let edges = (0..edges).map(|edge| Edge::new(own, &pods[(number + edge + 1) as usize % pods.len()], edge, &mut random));
        Self { edges: edges.collect(), random, uptime_s: 1 }
    }

    pub fn series(&self) -> u64 {
        // Two gauges of the proxy's own beside.
        self.edges.len() as u64 * SERIES_PER_EDGE + 2
    }

    /// What the proxy says now; time has passed since it was asked last.
    pub fn scrape(&mut self) -> String {
        self.uptime_s += 1;
        for edge in &mut self.edges {
            if self.random.below(100) < BUSY_PERCENT {
                edge.serve(&mut self.random);
            }
        }
        let mut text = String::with_capacity(self.edges.len() * 67 * 800);
        text.push_str("# TYPE istio_requests_total counter\n");
        for edge in &self.edges {
            let _ = writeln!(text, "istio_requests_total{{{}}} {}", edge.labels, edge.requests);
        }
        text.push_str("# TYPE istio_build gauge\nistio_build{component=\"proxy\",tag=\"1.27.0\"} 1\n");
        let _ = writeln!(text, "# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{{}} {}", self.uptime_s);
        for (index, name) in HISTOGRAMS.iter().enumerate() {
            let _ = writeln!(text, "# TYPE {name} histogram");
            for edge in &self.edges {
                let histogram = &edge.histograms[index];
                let mut total = 0;
                for (bound, count) in BOUNDS.iter().zip(histogram.counts) {
                    total += count;
                    let _ = writeln!(text, "{name}_bucket{{{},le=\"{bound}\"}} {total}", edge.labels);
                }
                let _ = writeln!(text, "{name}_sum{{{}}} {}", edge.labels, histogram.sum);
                let _ = writeln!(text, "{name}_count{{{}}} {total}", edge.labels);
            }
        }
        text
    }
}

impl Edge {
    fn new(own: &Pod, peer: &Pod, number: u64, random: &mut Random) -> Self {
        let is_source = number.is_multiple_of(2);
        let (reporter, source, destination) = if is_source { ("source", own, peer) } else { ("destination", peer, own) };
        let code = if number % 11 == 10 { 503 } else { 200 };
        let labels = format!(
            "reporter=\"{reporter}\",source_workload=\"{}\",source_canonical_service=\"{}\",source_canonical_revision=\"v{}\",\
             source_workload_namespace=\"shop\",source_principal=\"spiffe://cluster.local/ns/shop/sa/{}\",source_app=\"{}\",\
             source_version=\"v{}\",source_cluster=\"Kubernetes\",destination_workload=\"{}\",\
             destination_workload_namespace=\"shop\",destination_principal=\"spiffe://cluster.local/ns/shop/sa/{}\",\
             destination_app=\"{}\",destination_version=\"v{}\",destination_service=\"{}.shop.svc.cluster.local\",\
             destination_canonical_service=\"{}\",destination_canonical_revision=\"v{}\",destination_service_name=\"{}\",\
             destination_service_namespace=\"shop\",destination_cluster=\"Kubernetes\",request_protocol=\"http\",\
             response_code=\"{code}\",grpc_response_status=\"\",response_flags=\"{}\",connection_security_policy=\"{}\"",
            source.workload(),
            source.service,
            1 + source.number,
            source.service,
            source.service,
            1 + source.number,
            destination.workload(),
            destination.service,
            destination.service,
            1 + destination.number,
            destination.service,
            destination.service,
            1 + destination.number,
            destination.service,
            if code == 503 { "UF,URX" } else { "-" },
            if is_source { "unknown" } else { "mutual_tls" },
        );
        let mut edge = Self { labels, requests: 0, histograms: [Histogram::default(); 3] };
        for _ in 0..20 {
            edge.serve(random);
        }
        edge
    }

    fn serve(&mut self, random: &mut Random) {
        for _ in 0..=random.below(12) {
            self.requests += 1;
            for (histogram, around) in self.histograms.iter_mut().zip([8, 3, 9]) {
                let bucket = (around + random.below(3) + random.below(2)) as usize;
                histogram.counts[bucket] += 1;
                histogram.sum += random.skewed(20);
            }
        }
    }
}

/// Serves the targets, each on an address of its own; returns where.
pub async fn serve(targets: Vec<Target>) -> Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for target in targets {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("cannot listen as a proxy")?;
        addresses.push(listener.local_addr().context("a listener has no address")?);
        let target = Arc::new(Mutex::new(target));
        let answer = move || {
            let text = target.lock().unwrap_or_else(PoisonError::into_inner).scrape();
            async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
        };
        let router = Router::new().route("/stats/prometheus", get(answer));
        tokio::spawn(async move {
            // It ends with the benchmark.
            let _ = axum::serve(listener, router).await;
        });
    }
    Ok(addresses)
}
