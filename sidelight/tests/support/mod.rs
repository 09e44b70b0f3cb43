//! Whole meshes in the test's own process: `mesh("s1").client("front").service("bill", "v1", 9999).start().await`.
#![allow(dead_code, clippy::unwrap_used)]

mod counts;
mod parts;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use bookinfo::client::{HttpClient, Route};
use bookinfo::load::{self, LoadConfig, LoadReport};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;
use sidelight::demo::layout::{Network, Role};
use sidelight::demo::ready::in_sync;
use sidelight_api::config::ObjectList;
use sidelight_api::proxy::ProxyList;
use tokio_util::sync::CancellationToken;

pub use parts::App;

/// Longest wait for anything that should take a second.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Window of every question about the graph: longer than any test.
pub const WINDOW_S: u64 = 600;
/// Namespace of everything but the gateway.
pub const NAMESPACE: &str = "demo";

/// Networks for meshes, by turns.
const NETWORKS: usize = 240;
const HELD_PORT: u16 = 15_999;

/// What a mesh shall consist of.
pub struct Plan {
    namespace: String,
    roles: Vec<(Role, Option<App>)>,
    objects: String,
    gateway_port: u16,
}

/// A running mesh; dropped, everything ends.
pub struct Mesh {
    pub collector: parts::RunningCollector,
    pub workloads: Vec<parts::RunningWorkload>,
    pub gateway_port: u16,
    namespace: String,
    _held: TcpListener,
}

#[must_use]
pub fn mesh() -> Plan {
    Plan { namespace: NAMESPACE.to_owned(), roles: Vec::new(), objects: String::new(), gateway_port: 0 }
}

impl Plan {
    /// Calls others, is called by nobody.
    pub fn client(mut self, app: &str) -> Self {
        let role = Role { port: None, ..Role::service(app, "v1", &self.namespace, 0) };
        self.roles.push((role, None));
        self
    }

    /// One instance of `app`, an echo service, reached through the service of its name.
    pub fn service(self, app: &str, version: &str, port: u16) -> Self {
        self.replicas(app, version, port, 1)
    }

    /// So many instances; the service listens on `port`, the application on another, as in the walkthrough.
    pub fn replicas(mut self, app: &str, version: &str, port: u16, count: u8) -> Self {
        for replica in 0..count {
            let role = Role { replica, ..Role::service(app, version, &self.namespace, 8000) };
            self.roles.push((role, Some(App::Httpbin)));
        }
        if !self.objects.contains(&format!("metadata: {{name: {app}, ")) {
            let object = format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {app}, namespace: {}}}\nspec:\n  selector: {{app: {app}}}\n  \
                 ports: [{{name: http, port: {port}, targetPort: http}}]\n",
                self.namespace
            );
            self = self.objects(&object);
        }
        self
    }

    /// Gateway and Bookinfo with the demo's own objects.
    pub fn bookinfo(mut self, gateway_port: u16) -> Self {
        self.namespace = "bookinfo".to_owned();
        self.gateway_port = gateway_port;
        self.roles.push((Role::ingress_gateway(), None));
        for (app, version) in
            [("productpage", "v1"), ("details", "v1"), ("reviews", "v1"), ("reviews", "v2"), ("reviews", "v3"), ("ratings", "v1")]
        {
            let role = Role::service(app, version, "bookinfo", 9080);
            self.roles.push((role, Some(App::bookinfo(app, version))));
        }
        self.objects(&sidelight::demo::seed::objects(gateway_port))
    }

    /// Further configuration.
    pub fn objects(mut self, yaml: &str) -> Self {
        if !self.objects.is_empty() {
            self.objects.push_str("---\n");
        }
        self.objects.push_str(yaml);
        self
    }

    /// Up when every proxy has accepted its configuration.
    pub async fn start(self) -> Mesh {
        let (network, held) = network();
        let collector = parts::RunningCollector::start().await;
        let mut mesh = Mesh {
            collector,
            workloads: Vec::new(),
            gateway_port: self.gateway_port,
            namespace: self.namespace.clone(),
            _held: held,
        };
        mesh.apply(&self.objects).await;
        for (number, (role, app)) in (0..).zip(self.roles) {
            let workload = network.place(number, role);
            mesh.workloads.push(parts::RunningWorkload::start(workload, app, &mesh.collector).await);
        }
        mesh.in_sync().await;
        mesh
    }
}

/// Addresses that no other mesh of this machine uses: whoever holds the network's first address has it to itself.
fn network() -> (Network, TcpListener) {
    let start = std::process::id() as usize;
    for attempt in 0..NETWORKS {
        let number = u8::try_from((start + attempt) % NETWORKS).unwrap();
        let base = Ipv4Addr::new(127, 100 + 2 * (number / 8), number % 8, 0);
        let [a, b, c, _] = base.octets();
        if let Ok(held) = TcpListener::bind((Ipv4Addr::new(a, b, c, 1), HELD_PORT)) {
            return (Network { base, offset: 0, shared: false }, held);
        }
    }
    panic!("all {NETWORKS} networks are in use");
}

impl Mesh {
    /// Saves objects and waits until every proxy runs them.
    pub async fn apply(&self, yaml: &str) {
        let body = json!({ "yaml": yaml, "message": "test" });
        let (status, body) = self.post("/api/config/apply", body.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        self.in_sync().await;
    }

    /// Every proxy is there and runs the newest revision of every object.
    async fn in_sync(&self) {
        eventually("every proxy is in sync", async || {
            let proxies: ProxyList = self.get("/api/proxies").await;
            let objects: ObjectList = self.get("/api/config").await;
            let rolled_out = objects.objects.iter().all(|object| object.rollout.applied == object.rollout.proxies);
            (in_sync(&proxies) == self.workloads.len() && rolled_out).then_some(())
        })
        .await;
    }

    #[must_use]
    pub fn workload(&self, name: &str) -> &parts::RunningWorkload {
        let found = self.workloads.iter().find(|w| w.place.role.workload == name || w.place.role.app == name);
        found.unwrap_or_else(|| panic!("no workload {name}"))
    }

    /// So many calls of a service through the caller's sidecar.
    pub async fn calls(&self, from: &str, url: &str, count: u64) -> LoadReport {
        let route = Route::Proxy(self.workload(from).place.outbound().to_string());
        let config = LoadConfig { route, count: Some(count), ..LoadConfig::new(url.parse().unwrap()) };
        load::run(config, CancellationToken::new()).await
    }

    /// So many requests through the gateway.
    pub async fn requests(&self, path: &str, headers: &[(&'static str, &str)], count: u64) -> LoadReport {
        let url = format!("http://127.0.0.1:{}{path}", self.gateway_port);
        let headers: HeaderMap =
            headers.iter().map(|(n, v)| (n.parse::<http::HeaderName>().unwrap(), v.parse().unwrap())).collect();
        let config = LoadConfig { headers, count: Some(count), ..LoadConfig::new(url.parse().unwrap()) };
        load::run(config, CancellationToken::new()).await
    }

    /// An answer of the collector's API.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.ask(path).await;
        assert_eq!(answer.0, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&answer.1));
        serde_json::from_slice(&answer.1).unwrap_or_else(|e| panic!("{path}: {e}: {}", String::from_utf8_lossy(&answer.1)))
    }

    /// Status and body of an answer of the collector's API.
    pub async fn ask(&self, path: &str) -> (StatusCode, Bytes) {
        self.api(Method::GET, path, Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: String) -> (StatusCode, Bytes) {
        self.api(Method::POST, path, body.into()).await
    }

    async fn api(&self, method: Method, path: &str, body: Bytes) -> (StatusCode, Bytes) {
        let uri = format!("http://{}{path}", self.collector.dashboard).parse().unwrap();
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, "application/json".parse().unwrap())]);
        let answer = HttpClient::new(Route::Direct).send(method, uri, headers, body, LIMIT).await.unwrap();
        (answer.status, answer.body)
    }

    /// Stops everything in order: the collector's last scrape finds the sidecars.
    pub async fn stop(self) {
        self.collector.stop().await;
        for workload in self.workloads {
            workload.stop().await;
        }
    }
}

/// A free port of 127.0.0.1 for a gateway.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until there is a value.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
