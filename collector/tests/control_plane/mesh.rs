//! A control plane on a store of its own, with Bookinfo's objects, for one test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sidelight_api::config::{ApplyRequest, ApplyResponse};
use sidelight_api::proxy::ProxyList;
use sidelight_collector::control::{ControlPlane, ControlSettings};
use sidelight_collector::store::SqliteStore;
use sidelight_collector::store::revisions::RevisionStore;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Longest wait for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const BOOKINFO: &str = include_str!("bookinfo.yaml");

pub struct Mesh {
    pub control: ControlPlane,
    pub xds: SocketAddr,
    pub store: Arc<dyn RevisionStore>,
    router: Router,
    shutdown: CancellationToken,
    _folder: Arc<tempfile::TempDir>,
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Mesh {
    /// Without any object.
    pub async fn empty() -> Self {
        Self::with(settings()).await
    }

    pub async fn with(settings: ControlSettings) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = SqliteStore::open(&folder.path().join("mesh.db")).await.unwrap();
        Self::on(Arc::new(store), folder, settings).await
    }

    pub async fn bookinfo() -> Self {
        let mesh = Self::empty().await;
        mesh.apply(BOOKINFO).await;
        mesh
    }

    /// The same objects under a new control plane.
    pub async fn restarted(self, settings: ControlSettings) -> Self {
        self.shutdown.cancel();
        Self::on(Arc::clone(&self.store), Arc::clone(&self._folder), settings).await
    }

    /// Another control plane on the same objects.
    pub async fn second(&self) -> Self {
        Self::on(Arc::clone(&self.store), Arc::clone(&self._folder), settings()).await
    }

    async fn on(store: Arc<dyn RevisionStore>, folder: Arc<tempfile::TempDir>, settings: ControlSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let xds = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let control = ControlPlane::start(settings, Arc::clone(&store), listener, shutdown.clone()).await.unwrap();
        let router = control.router();
        Self { control, xds, store, router, shutdown, _folder: folder }
    }

    pub async fn apply(&self, yaml: &str) -> ApplyResponse {
        let request = ApplyRequest {
            yaml: yaml.to_owned(),
            message: "test".to_owned(),
            namespace: Some("bookinfo".to_owned()),
            dry_run: false,
        };
        self.ok(Method::POST, "/api/config/apply", Some(&request)).await
    }

    pub async fn proxies(&self) -> ProxyList {
        self.ok(Method::GET, "/api/proxies", None::<&()>).await
    }

    pub async fn ok<A: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> A {
        let (status, text) = self.call(method, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(path);
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(serde_json::to_vec(body).unwrap())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }
}

pub fn settings() -> ControlSettings {
    ControlSettings { trace_sampling_percent: 100.0, settle: Duration::ZERO, ..ControlSettings::new("127.0.0.1:9411".to_owned()) }
}

/// Asks again and again until the answer is there.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}
