//! A small API server of Kubernetes: lists pods page by page and tells changes to those who watch, in the API's JSON.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

pub const TOKEN: &str = "let-me-in";

#[derive(Clone)]
pub struct ApiServer {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<Cluster>,
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Cluster {
    version: u64,
    pods: BTreeMap<(String, String), Value>,
    /// Every change with its version.
    events: Vec<(u64, Value)>,
    /// Changes before this one are forgotten.
    oldest: u64,
    lists: usize,
    turned_away: usize,
    /// Watches of an earlier number are over.
    watches: u64,
}

impl ApiServer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Mutex::new(Cluster { version: 10, ..Cluster::default() });
        let inner = Arc::new(Inner { state, news: watch::Sender::new(0) });
        let router = Router::new()
            .route("/api/v1/pods", get(all))
            .route("/api/v1/namespaces/{namespace}/pods", get(in_namespace))
            .with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, inner }
    }

    pub fn put(&self, pod: Value) {
        self.inner.change("MODIFIED", pod);
    }

    pub fn delete(&self, pod: Value) {
        self.inner.change("DELETED", pod);
    }

    /// Ends all watches and forgets what has changed, as a server does that was compacted.
    pub fn forget(&self) {
        let mut state = self.inner.state.lock();
        state.version += 1;
        state.oldest = state.version;
        state.watches += 1;
        let version = state.version;
        drop(state);
        self.inner.news.send_replace(version);
    }

    /// Ends all watches.
    pub fn hang_up(&self) {
        self.inner.state.lock().watches += 1;
        self.inner.news.send_modify(|news| *news += 1);
    }

    pub fn pods(&self) -> Vec<Value> {
        self.inner.state.lock().pods.values().cloned().collect()
    }

    pub fn turned_away(&self) -> usize {
        self.inner.state.lock().turned_away
    }

    pub fn lists(&self) -> usize {
        self.inner.state.lock().lists
    }
}

fn name(pod: &Value) -> (String, String) {
    let text = |key: &str| pod["metadata"][key].as_str().unwrap().to_owned();
    (text("namespace"), text("name"))
}

impl Inner {
    fn change(&self, kind: &str, mut pod: Value) {
        let mut state = self.state.lock();
        state.version += 1;
        let version = state.version;
        pod["metadata"]["resourceVersion"] = version.to_string().into();
        let key = name(&pod);
        let is_new = match kind {
            "DELETED" => state.pods.remove(&key).is_none(),
            _ => state.pods.insert(key, pod.clone()).is_none(),
        };
        let kind = if is_new && kind == "MODIFIED" { "ADDED" } else { kind };
        state.events.push((version, json!({"type": kind, "object": pod})));
        drop(state);
        self.news.send_replace(version);
    }

    fn list(&self, namespace: Option<&str>, query: &HashMap<String, String>) -> Value {
        let mut state = self.state.lock();
        state.lists += 1;
        let limit = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap()).min(2);
        let skip: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        let pods = state.pods.iter().filter(|((of, _), _)| namespace.is_none_or(|namespace| namespace == of));
        let all: Vec<&Value> = pods.map(|(_, pod)| pod).collect();
        let page: Vec<Value> = all.iter().skip(skip).take(limit).map(|pod| (*pod).clone()).collect();
        let next = skip + page.len();
        let mut metadata = json!({"resourceVersion": state.version.to_string()});
        if next < all.len() {
            metadata["continue"] = next.to_string().into();
        }
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": page})
    }
}

async fn all(state: State<Arc<Inner>>, query: Query<HashMap<String, String>>, headers: HeaderMap) -> Response {
    answer(&state.0, None, query.0, &headers)
}

async fn in_namespace(
    state: State<Arc<Inner>>,
    Path(namespace): Path<String>,
    query: Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    answer(&state.0, Some(namespace), query.0, &headers)
}

fn answer(inner: &Arc<Inner>, namespace: Option<String>, query: HashMap<String, String>, headers: &HeaderMap) -> Response {
    if headers.get("authorization").is_none_or(|value| value != &format!("Bearer {TOKEN}")) {
        inner.state.lock().turned_away += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if !query.contains_key("watch") {
        return axum::Json(inner.list(namespace.as_deref(), &query)).into_response();
    }
    let seen: u64 = query["resourceVersion"].parse().unwrap();
    let number = inner.state.lock().watches;
    let stream =
        futures_util::stream::unfold(Watch { inner: inner.clone(), namespace, seen, number, is_over: false }, Watch::next);
    ([("content-type", "application/json")], Body::from_stream(stream)).into_response()
}

struct Watch {
    inner: Arc<Inner>,
    namespace: Option<String>,
    seen: u64,
    number: u64,
    is_over: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<String, std::io::Error>, Self)> {
        let mut news = self.inner.news.subscribe();
        while !self.is_over {
            let (lines, is_ended) = self.lines();
            self.is_over = is_ended;
            if !lines.is_empty() {
                return Some((Ok(lines), self));
            }
            if !self.is_over {
                news.changed().await.ok()?;
            }
        }
        None
    }

    fn lines(&mut self) -> (String, bool) {
        let state = self.inner.state.lock();
        if self.seen < state.oldest {
            let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}});
            return (format!("{gone}\n"), true);
        }
        let mine = |event: &&(u64, Value)| {
            let of = event.1["object"]["metadata"]["namespace"].as_str();
            self.namespace.as_deref().is_none_or(|namespace| of == Some(namespace))
        };
        let lines: String = state
            .events
            .iter()
            .filter(|(version, _)| *version > self.seen)
            .filter(mine)
            .map(|(_, event)| format!("{event}\n"))
            .collect();
        self.seen = state.version;
        (lines, state.watches != self.number)
    }
}
