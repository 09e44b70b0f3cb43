//! The collector's own HTTP requests as Istio's standard metrics: it is one more workload of the mesh that it shows.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::{Map, Value, json};
use sidelight_mesh::identity::{IdentityError, NodeIdentity};
use sidelight_telemetry::tower::TelemetryLayer;
use sidelight_telemetry::{Telemetry, TelemetrySettings};
use tower::Layer as _;

use crate::clock::now_ms;

/// The workload, and its app.
pub const WORKLOAD: &str = "sidelight-collector";
/// The workload's namespace.
pub const NAMESPACE: &str = "sidelight-system";

/// Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct OwnRequests {
    telemetry: Telemetry,
    started: Instant,
}

impl OwnRequests {
    /// `address` is that of the dashboard.
    pub fn new(address: SocketAddr) -> Result<Self, IdentityError> {
        let ip: IpAddr = address.ip();
        let id = format!("sidecar~{ip}~{WORKLOAD}-{}.{NAMESPACE}~{NAMESPACE}.svc.cluster.local", address.port());
        let metadata = json!({
            "WORKLOAD_NAME": WORKLOAD,
            "LABELS": {"app": WORKLOAD, "version": env!("CARGO_PKG_VERSION")},
            "INTERCEPTION_MODE": "NONE",
        });
        let metadata: Map<String, Value> = metadata.as_object().cloned().unwrap_or_default();
        let identity = NodeIdentity::from_node(&id, "", &metadata)?;
        // No tracing: spans of our own are `tracing`'s, and those of a request for our spans would never end.
        let telemetry = Telemetry::new(identity, TelemetrySettings::default());
        // As a proxy tells its age: by it a scrape knows that counters began anew.
        telemetry.families().gauge("envoy_server_start_time_ms", &[]).set(now_ms());
        Ok(Self { telemetry, started: Instant::now() })
    }

    /// Counts the requests of a whole server.
    pub fn watch(&self, router: Router) -> Router {
        Router::new().fallback_service(TelemetryLayer::new(self.telemetry.clone()).layer(router))
    }

    /// `GET /stats/prometheus`, under which proxies have the same metrics.
    pub fn stats(&self) -> Router {
        let Self { telemetry, started } = self.clone();
        let answer = move || {
            telemetry
                .families()
                .gauge("envoy_server_uptime", &[])
                .set(i64::try_from(started.elapsed().as_secs()).unwrap_or(i64::MAX));
            let text = telemetry.render_metrics("");
            async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
        };
        Router::new().route("/stats/prometheus", get(answer))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn requests_are_counted_as_those_of_a_workload() {
        let own = OwnRequests::new("127.0.0.1:20001".parse().unwrap()).unwrap();
        let server = own.watch(Router::new().route("/api/status", get(|| async { "ok" })));
        for path in ["/api/status", "/api/status", "/nowhere"] {
            let request = Request::get(path).header("host", "127.0.0.1:20001").body(Body::empty()).unwrap();
            let response = server.clone().oneshot(request).await.unwrap();
            to_bytes(response.into_body(), 1000).await.unwrap();
        }
        let request = Request::get("/stats/prometheus").body(Body::empty()).unwrap();
        let response = own.stats().oneshot(request).await.unwrap();
        let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        let count = |code: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with("istio_requests_total{") && line.contains(&format!("response_code=\"{code}\"")));
            let line = line.unwrap_or_else(|| panic!("no requests with {code} in {text}"));
            for label in [
                "reporter=\"destination\"",
                "destination_workload=\"sidelight-collector\"",
                "destination_workload_namespace=\"sidelight-system\"",
                "destination_app=\"sidelight-collector\"",
            ] {
                assert!(line.contains(label), "{label} in {line}");
            }
            line.rsplit(' ').next().unwrap().to_owned()
        };
        assert_eq!((count("200").as_str(), count("404").as_str()), ("2", "1"));
    }
}
