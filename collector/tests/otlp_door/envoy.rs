//! A real Envoy, started with the bootstraps that we ship, sends its spans through the doors.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::Router;
use serde_json::Value;
use sidelight_collector::Collector;
use tokio::net::TcpListener;

use crate::support::envoy::installed;
use crate::support::place::Place;
use crate::support::running::{accounted, counts, eventually, get, settings};

const REQUESTS: u64 = 12;

struct Envoy {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Envoy {
    /// With free ports instead of those in the file.
    async fn start(bootstrap: &str, application: SocketAddr, door: SocketAddr) -> Self {
        let binary = tokio::task::spawn_blocking(installed).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/envoy").join(bootstrap);
        let mut text = std::fs::read_to_string(&shipped).unwrap();
        for (port, address) in [("8081", application), ("4317", door), ("9411", door)] {
            for host in ["127.0.0.1", "collector.example"] {
                let shipped = format!("{{ address: {host}, port_value: {port} }}");
                text = text.replace(&shipped, &format!("{{ address: 127.0.0.1, port_value: {} }}", address.port()));
            }
        }
        text = text.replace("address: 0.0.0.0, port_value: 8080", "address: 127.0.0.1, port_value: 0");
        text = text.replace("port_value: 15000", "port_value: 0");
        let path = folder.path().join("bootstrap.yaml");
        std::fs::write(&path, text).unwrap();
        let log = std::fs::File::create(folder.path().join("envoy.log")).unwrap();
        let process = Command::new(binary)
            .arg("-c")
            .arg(&path)
            .arg("--admin-address-path")
            .arg(folder.path().join("admin"))
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, folder }
    }

    /// Where its one listener is, once it is there.
    async fn inbound(&self) -> SocketAddr {
        let found = std::cell::Cell::new(None);
        let found = &found;
        let admin = &self.folder.path().join("admin");
        eventually("Envoy listens", async || {
            let Some(address) = std::fs::read_to_string(admin).ok().and_then(|text| text.parse().ok()) else { return false };
            let (_, body) = get(address, "/listeners?format=json").await;
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            let socket = &body["listener_statuses"][0]["local_address"]["socket_address"];
            found.set(socket["port_value"].as_u64().map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16))));
            found.get().is_some()
        })
        .await;
        found.get().unwrap()
    }
}

async fn spans_arrive(bootstrap: &str, door: &str, place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let application = listener.local_addr().unwrap();
    let router = Router::new().fallback(|| async { "the application" });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let addresses = collector.addresses();
    let target = if door == "zipkin" { addresses.zipkin } else { addresses.otlp_grpc.unwrap() };
    let envoy = Envoy::start(bootstrap, application, target).await;
    let inbound = envoy.inbound().await;
    for _ in 0..REQUESTS {
        assert_eq!(get(inbound, "/cart").await.1, "the application");
    }
    // Envoy sends what is left after five seconds.
    eventually("all spans are stored", async || {
        counts(&collector, door, "spans").await.is_some_and(|counts| counts.stored == REQUESTS)
    })
    .await;
    assert_eq!(accounted(&collector, door, "spans").await, (REQUESTS, REQUESTS, Vec::new()));
    let (_, services) = get(addresses.zipkin, "/api/v2/services").await;
    assert_eq!(services, r#"["checkout.shop"]"#);
    let (_, traces) = get(addresses.zipkin, "/api/v2/traces?serviceName=checkout.shop&limit=100").await;
    let traces: Vec<Vec<Value>> = serde_json::from_str(&traces).unwrap();
    assert_eq!(traces.len() as u64, REQUESTS);
    let tags = &traces[0][0]["tags"];
    assert_eq!((&tags["http.status_code"], &tags["component"]), (&"200".into(), &"proxy".into()));
    drop(envoy);
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_spans_arrive_over_otlp() {
    spans_arrive("plain-otlp.yaml", "otlp-grpc", &Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_spans_arrive_over_zipkin() {
    spans_arrive("plain-zipkin.yaml", "zipkin", &Place::sqlite()).await;
}
