//! A whole collector on real ports: all rooms fit together, and the doors ask for the login they should.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sidelight_collector::settings::{AuthSettings, Database};
use sidelight_collector::{Collector, Settings};

fn settings(directory: &Path, auth: AuthSettings) -> Settings {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let database = Database::Sqlite(directory.join("store.db"));
    Settings { listen: any, zipkin: any, xds: any, auth, ..Settings::new(database) }
}

async fn get(address: SocketAddr, path: &str, token: Option<&str>) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let mut request = http::Request::get(format!("http://{address}{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = client.request(request.body(Full::default()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

const ROUTES: [&str; 10] = [
    "/api/status",
    "/api/namespaces",
    "/api/namespaces/graph",
    "/api/timeline",
    "/api/config",
    "/api/proxies",
    "/api/ingest",
    "/api/v2/services",
    "/metrics",
    "/api/namespaces/bookinfo/workloads/reviews-v1/graph",
];

#[tokio::test]
async fn every_room_answers_on_the_dashboards_port() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::start(settings(directory.path(), AuthSettings::None)).await.unwrap();
    let address = collector.addresses().dashboard;
    for path in ROUTES {
        let (status, body) = get(address, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
    }
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(get(address, path, None).await.0, 200, "{path}");
    }
    collector.shutdown().await;
}

#[tokio::test]
async fn with_a_login_every_room_asks_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().to_owned();
    let collector = Collector::start(settings(&folder, AuthSettings::TokenIn(folder.clone()))).await.unwrap();
    let address = collector.addresses().dashboard;
    let token = std::fs::read_to_string(folder.join("token")).unwrap();
    let zipkin = collector.addresses().zipkin;
    for path in ["/api/v2/services", "/api/v2/spans?serviceName=a", "/api/v2/traces"] {
        assert_eq!(get(zipkin, path, None).await.0, 401, "{path} beside the spans");
        assert_eq!(get(zipkin, path, Some(token.trim())).await.0, 200, "{path} beside the spans");
    }
    assert_eq!(get(zipkin, "/health", None).await.0, 200);
    for path in ROUTES {
        assert_eq!(get(address, path, None).await.0, 401, "{path}");
        assert_eq!(get(address, path, Some(token.trim())).await.0, 200, "{path}");
    }
    collector.shutdown().await;
}
