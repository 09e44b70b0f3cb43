//! The web server as a client meets it, over a real store.
#![allow(clippy::unwrap_used)]

mod access;
mod dashboard;
mod data;
mod envelope;
mod sockets;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::{get, post};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use sidelight_api::config::{Action, ObjectKey};
use sidelight_api::error::{ApiError, ErrorBody};
use tower::ServiceExt;

use super::auth::{Auth, Token};
use super::{HostPolicy, MeshSource, StatusFacts, WebParts, app};
use crate::control::Author;
use crate::own_metrics::OwnMetrics;
use crate::query::graph::facts::MeshFacts;
use crate::query::graph::fixture::{Fixture, WINDOW};
use crate::store::revisions::{NewRevision, RevisionError, RevisionStore, StoredRevision};
use crate::store::{Edge, ScrapeBatch, SqliteStore, Store, WriteBatch};

const TOKEN: &str = "a-token-of-the-tests-0123456789";

/// A server over a store of its own.
struct Server {
    router: Router,
    _directory: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Server {
    async fn open() -> Self {
        Self::with(Auth::open(), HostPolicy::Local(Arc::from([])), &Fixture::default()).await
    }

    async fn locked() -> Self {
        Self::with(Auth::with_token(Token::new(TOKEN)), HostPolicy::Any, &Fixture::default()).await
    }

    async fn telling(fixture: &Fixture) -> Self {
        Self::with(Auth::open(), HostPolicy::Any, fixture).await
    }

    async fn with(auth: Auth, hosts: HostPolicy, fixture: &Fixture) -> Self {
        Self::heard_at(auth, hosts, fixture, WINDOW.from_ms + 30_000).await
    }

    /// Over a store that heard of the fixture's traffic at this moment.
    async fn heard_at(auth: Auth, hosts: HostPolicy, fixture: &Fixture, at_ms: i64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&directory.path().join("store.db")).await.unwrap();
        fill(&store, fixture, at_ms).await;
        let router = app(WebParts {
            exporters: Vec::new(),
            metrics: OwnMetrics::new(),
            store: Arc::new(store),
            revisions: Arc::new(OneChange),
            mesh: Arc::new(Mesh(fixture.mesh.clone())),
            status: StatusFacts { started_at_ms: 1, scrape_interval_s: 5.0, retention_s: 3600 },
            api: Router::new()
                .route("/api/echo", post(|body: String| async { body }))
                .route("/api/author", get(|request: Request<Body>| async move { author(&request) }))
                .route("/api/panic", get(|| async { if true { panic!("on purpose") } else { "" } })),
            open: Router::new(),
            auth: Arc::new(auth),
            hosts,
        });
        Self { router, _directory: directory }
    }

    /// Sends one request; `headers` are `name: value`.
    async fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|line| line.starts_with("host:")) {
            request = request.header("host", "127.0.0.1:20001");
        }
        for line in headers {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 77, 0, 9], 1))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn error(&self) -> ApiError {
        self.json::<ErrorBody>().error
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn author(request: &Request<Body>) -> String {
    request.extensions().get::<Author>().map_or_else(String::new, |author| author.0.clone())
}

/// Puts the fixture's rows into one step.
async fn fill(store: &SqliteStore, fixture: &Fixture, at_ms: i64) {
    if fixture.rows.is_empty() {
        return;
    }
    let added = fixture.rows.iter().map(|row| {
        let edge = Edge::new(Arc::clone(&row.labels), Arc::clone(&row.totals.duration.bounds));
        (at_ms.div_euclid(10_000) * 10, Arc::new(edge), row.totals.clone())
    });
    let scrape = ScrapeBatch {
        target: "test".into(),
        namespace: "bookinfo".into(),
        scraped_at_ms: at_ms,
        added: added.collect(),
        ..ScrapeBatch::default()
    };
    store.write(&WriteBatch { scrapes: vec![scrape], ..WriteBatch::default() }).await.unwrap();
}

struct Mesh(MeshFacts);

impl MeshSource for Mesh {
    fn facts(&self) -> MeshFacts {
        self.0.clone()
    }
}

/// A history in which one object was changed in the middle of the window.
struct OneChange;

type Answered<'a, T> = BoxFuture<'a, Result<T, RevisionError>>;

impl RevisionStore for OneChange {
    fn current(&self) -> Answered<'_, Vec<StoredRevision>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn head<'a>(&'a self, _: &'a ObjectKey) -> Answered<'a, Option<StoredRevision>> {
        async { Ok(None) }.boxed()
    }

    fn history<'a>(&'a self, _: &'a ObjectKey) -> Answered<'a, Vec<StoredRevision>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn revision<'a>(&'a self, _: &'a ObjectKey, _: u64) -> Answered<'a, Option<StoredRevision>> {
        async { Ok(None) }.boxed()
    }

    fn append(&self, _: Vec<NewRevision>) -> Answered<'_, Vec<StoredRevision>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn changes<'a>(&'a self, from_ms: i64, to_ms: i64, _: &'a [String]) -> Answered<'a, Vec<StoredRevision>> {
        let key = ObjectKey { kind: "VirtualService".into(), namespace: "bookinfo".into(), name: "reviews".into() };
        let change = StoredRevision {
            sequence: 1,
            key,
            revision: 3,
            action: Action::Configured,
            yaml: String::new(),
            author: "ann".into(),
            message: "more v3".into(),
            created_at_ms: WINDOW.from_ms + 20_000,
            object_since_ms: 0,
            rolled_back_to: None,
        };
        let inside = (from_ms..to_ms).contains(&change.created_at_ms);
        async move { Ok(if inside { vec![change] } else { Vec::new() }) }.boxed()
    }

    fn newest_sequence(&self) -> Answered<'_, i64> {
        async { Ok(1) }.boxed()
    }
}
