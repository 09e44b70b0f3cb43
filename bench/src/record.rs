//! What does it cost to say about one request everything that Istio's standard metrics say?
//!
//! Ours is the whole exchange, from the request's head to its end: four metrics with 25 labels.
//! The peer is `prometheus-client` doing the same four metrics, with the label set at hand and with one built per request.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use sidelight_mesh::identity::NodeIdentity;
use sidelight_telemetry::{
    ClusterInfo, Downstream, Outcome, Protocol, Reporter, RequestHead, ServiceInfo, Telemetry, TelemetrySettings,
};

use crate::rounds::{Candidate, compare};

const REQUESTS: u64 = 200_000;

/// Istio's buckets.
const BOUNDS: [f64; 19] =
    [0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6];

type Labels = Vec<(String, String)>;

pub fn run() -> Result<()> {
    let ours = Ours::new()?;
    let peer = Peer::new();
    let labels = labels();
    compare(
        &mut [
            Candidate { name: "sidelight-telemetry, whole exchange", work: &mut |n| (0..n).for_each(|_| ours.record()) },
            Candidate { name: "prometheus-client, labels at hand", work: &mut |n| (0..n).for_each(|_| peer.record(&labels)) },
            Candidate {
                name: "prometheus-client, labels built per request",
                work: &mut |n| (0..n).for_each(|_| peer.record(&black_box(&labels).clone())),
            },
        ],
        REQUESTS,
    );
    Ok(())
}

struct Ours {
    telemetry: Telemetry,
    cluster: Arc<ClusterInfo>,
    upstream: SocketAddr,
    headers: HeaderMap,
}

impl Ours {
    fn new() -> Result<Self> {
        let identity = NodeIdentity::from_node(
            "sidecar~10.0.0.1~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local",
            "productpage.bookinfo",
            &metadata(),
        )?;
        let service = ServiceInfo {
            host: "reviews.bookinfo.svc.cluster.local".into(),
            name: "reviews".into(),
            namespace: "bookinfo".into(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("bench"));
        headers.insert("x-request-id", HeaderValue::from_static("343a860d-c001-42fc-98fa-bd3412029667"));
        Ok(Self {
            telemetry: Telemetry::new(identity, TelemetrySettings::default()),
            cluster: Arc::new(ClusterInfo::new("outbound|9080||reviews.bookinfo.svc.cluster.local").with_service(service)),
            upstream: SocketAddr::from(([10, 0, 0, 2], 9080)),
            headers,
        })
    }

    fn record(&self) {
        let head = RequestHead {
            method: "GET",
            path: "/reviews/0",
            authority: "reviews:9080",
            scheme: "http",
            protocol: Protocol::Http11,
            headers: &self.headers,
            downstream: Downstream::default(),
            internal: false,
        };
        let mut exchange = self.telemetry.start(Reporter::Source, &head);
        exchange.set_cluster(self.cluster.clone());
        exchange.set_upstream(self.upstream, None);
        exchange.upstream_response(StatusCode::OK, &mut HeaderMap::new());
        exchange.finish(Outcome::Complete);
    }
}

struct Peer {
    requests: Family<Labels, Counter>,
    sizes: [Family<Labels, Histogram>; 3],
}

impl Peer {
    fn new() -> Self {
        let buckets = || Family::new_with_constructor((|| Histogram::new(BOUNDS)) as fn() -> Histogram);
        Self { requests: Family::default(), sizes: [buckets(), buckets(), buckets()] }
    }

    fn record(&self, labels: &Labels) {
        self.requests.get_or_create(labels).inc();
        for family in &self.sizes {
            family.get_or_create(labels).observe(black_box(5.0));
        }
    }
}

fn metadata() -> serde_json::Map<String, serde_json::Value> {
    let labels = serde_json::json!({ "app": "productpage", "version": "v1" });
    let pairs = [("NAMESPACE", "bookinfo"), ("WORKLOAD_NAME", "productpage-v1"), ("CLUSTER_ID", "Kubernetes")];
    let texts = pairs.map(|(key, value)| (key.to_owned(), value.into()));
    texts.into_iter().chain([("LABELS".to_owned(), labels)]).collect()
}

/// The 25 labels of `istio_requests_total`.
fn labels() -> Labels {
    let pairs = [
        ("reporter", "source"),
        ("source_workload", "productpage-v1"),
        ("source_canonical_service", "productpage"),
        ("source_canonical_revision", "v1"),
        ("source_workload_namespace", "bookinfo"),
        ("source_principal", "unknown"),
        ("source_app", "productpage"),
        ("source_version", "v1"),
        ("source_cluster", "Kubernetes"),
        ("destination_workload", "reviews-v1"),
        ("destination_workload_namespace", "bookinfo"),
        ("destination_principal", "unknown"),
        ("destination_app", "reviews"),
        ("destination_version", "v1"),
        ("destination_service", "reviews.bookinfo.svc.cluster.local"),
        ("destination_canonical_service", "reviews"),
        ("destination_canonical_revision", "v1"),
        ("destination_service_name", "reviews"),
        ("destination_service_namespace", "bookinfo"),
        ("destination_cluster", "Kubernetes"),
        ("request_protocol", "http"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
        ("response_flags", "-"),
        ("connection_security_policy", "unknown"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
