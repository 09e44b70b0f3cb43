//! Targets from Kubernetes: lists the pods and then watches them, through the API server's JSON.

mod pod;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::header::HeaderMap;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::client::{FetchError, HttpClient, HttpSettings};
use super::discovery::TargetGroup;
pub use pod::{Pod, group};

/// Pods in one answer of a list.
const PAGE: usize = 500;
/// Bytes of one page, and of one line of a watch: a pod has at most a megabyte and a half.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pods that are remembered; further ones are left out and told of.
pub const PODS_MAX: usize = 50_000;
/// Longest wait for one page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// The server ends a watch after this time, and a connection that has died is noticed a little later.
const WATCH_SECONDS: u64 = 240;
const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS + 30);
/// After a watch has ended, the next begins after the first of them; after failures pauses grow up to the second.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Changes are gathered for this long before they are told.
const GATHER: Duration = Duration::from_millis(100);

/// Where the API is and how to be let in.
#[derive(Clone, Debug)]
pub struct ApiServer {
    pub url: String,
    pub http: HttpSettings,
    pub own_namespace: String,
}

/// `kubernetes_sd_configs` with `role: pod`
#[derive(Clone, Debug)]
pub struct PodDiscovery {
    pub url: String,
    pub client: HttpClient,
    /// All when empty.
    pub namespaces: Vec<String>,
    pub label_selector: String,
    pub field_selector: String,
}

#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("failed to ask the API server for pods")]
    Fetch(#[from] FetchError),
    #[error("the API server answered with status {0}")]
    Status(StatusCode),
    #[error("the API server told something that is no pod")]
    Format(#[from] serde_json::Error),
    #[error("the watch broke off")]
    Broken(#[source] hyper::Error),
    #[error("one line of the watch is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// The server no longer knows what has changed since then.
    #[error("the watch is too old")]
    Gone,
}

#[derive(Deserialize)]
struct PodList {
    metadata: ListMetadata,
    #[serde(default)]
    items: Option<Vec<Pod>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    more: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: serde_json::Value,
}

/// Groups of one namespace, or of all, by namespace and name of the pod.
type Pods = BTreeMap<(String, String), TargetGroup>;

/// Lists and watches until `stop`.
pub fn watch_pods(discovery: PodDiscovery, stop: CancellationToken) -> watch::Receiver<Arc<Vec<TargetGroup>>> {
    let (sender, receiver) = watch::channel(Arc::default());
    let namespaces = if discovery.namespaces.is_empty() { vec![String::new()] } else { discovery.namespaces.clone() };
    let mut parts: Vec<watch::Receiver<Pods>> = Vec::new();
    for namespace in namespaces {
        let (pods, part) = watch::channel(Pods::new());
        parts.push(part);
        let mut follower = Follower { discovery: discovery.clone(), namespace, pods, version: String::new() };
        let stop = stop.clone();
        tokio::spawn(async move {
            let _ = stop.run_until_cancelled(follower.run()).await;
        });
    }
    tokio::spawn(async move {
        let _ = stop.run_until_cancelled(gather(parts, sender)).await;
    });
    receiver
}

/// Puts the namespaces together whenever one of them changes.
async fn gather(mut parts: Vec<watch::Receiver<Pods>>, sender: watch::Sender<Arc<Vec<TargetGroup>>>) {
    loop {
        let groups: Vec<TargetGroup> =
            parts.iter_mut().flat_map(|part| part.borrow_and_update().values().cloned().collect::<Vec<_>>()).collect();
        sender.send_if_modified(|known: &mut Arc<Vec<TargetGroup>>| {
            let is_new = **known != groups;
            *known = Arc::new(groups);
            is_new
        });
        let waiting = parts.iter_mut().map(|part| Box::pin(part.changed()));
        if futures_util::future::select_all(waiting).await.0.is_err() {
            return;
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Follows the pods of one namespace.
struct Follower {
    discovery: PodDiscovery,
    /// Empty for all.
    namespace: String,
    pods: watch::Sender<Pods>,
    /// What has been seen; empty when a list is needed.
    version: String,
}

impl Follower {
    async fn run(&mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.list_and_watch().await {
                // The server ends a watch now and then; it goes on where it ended.
                Ok(()) => pause = PAUSE_MIN,
                Err(WatchError::Gone) => {
                    info!(namespace = self.namespace, "listing pods anew");
                    self.version.clear();
                    pause = PAUSE_MIN;
                }
                Err(error) => {
                    warn!(namespace = self.namespace, error = &error as &dyn std::error::Error, "cannot follow pods");
                    self.version.clear();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    continue;
                }
            }
            tokio::time::sleep(PAUSE_MIN).await;
        }
    }

    async fn list_and_watch(&mut self) -> Result<(), WatchError> {
        if self.version.is_empty() {
            self.list().await?;
        }
        let url = self.url(&[
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", &self.version),
            ("timeoutSeconds", &WATCH_SECONDS.to_string()),
        ]);
        let asked = tokio::time::timeout(PAGE_TIMEOUT, self.discovery.client.get(&url, HeaderMap::new())).await;
        let response = asked.unwrap_or(Err(FetchError::Timeout(PAGE_TIMEOUT)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::GONE => return Err(WatchError::Gone),
            status => return Err(WatchError::Status(status)),
        }
        tokio::time::timeout(WATCH_TIMEOUT, self.follow(response)).await.unwrap_or(Ok(()))
    }

    async fn list(&mut self) -> Result<(), WatchError> {
        let (mut pods, mut more) = (Pods::new(), String::new());
        loop {
            let url = self.url(&[("limit", &PAGE.to_string()), ("continue", &more)]);
            let answer = self.discovery.client.text(&url, HeaderMap::new(), PAGE_BYTES_MAX, PAGE_TIMEOUT).await;
            let answer = answer.map_err(|error| match error {
                FetchError::Status(StatusCode::GONE) => WatchError::Gone,
                other => WatchError::Fetch(other),
            })?;
            let page: PodList = serde_json::from_str(&answer.text)?;
            for pod in page.items.unwrap_or_default() {
                put(&mut pods, &pod);
            }
            self.version = page.metadata.resource_version;
            more = page.metadata.more;
            if more.is_empty() {
                break;
            }
        }
        info!(namespace = self.namespace, pods = pods.len(), "following pods");
        self.pods.send_replace(pods);
        Ok(())
    }

    /// Reads events line by line until the server ends the watch.
    async fn follow(&mut self, response: Response<Incoming>) -> Result<(), WatchError> {
        let (mut body, mut lines) = (response.into_body(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(WatchError::Broken)?.into_data() else { continue };
            lines.extend_from_slice(&data);
            while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
                let line = lines.split_to(end + 1);
                self.take(&line)?;
            }
            if lines.len() > LINE_BYTES_MAX {
                return Err(WatchError::TooLong);
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8]) -> Result<(), WatchError> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let event: Event = serde_json::from_slice(line)?;
        if event.kind == "ERROR" {
            let code = event.object.get("code").and_then(serde_json::Value::as_u64).and_then(|code| u16::try_from(code).ok());
            let status = code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Err(if status == StatusCode::GONE { WatchError::Gone } else { WatchError::Status(status) });
        }
        let pod: Pod = serde_json::from_value(event.object)?;
        self.version.clone_from(&pod.metadata.resource_version);
        match event.kind.as_str() {
            "ADDED" | "MODIFIED" => self.pods.send_if_modified(|pods| put(pods, &pod)),
            "DELETED" => self.pods.send_if_modified(|pods| pods.remove(&pod.name()).is_some()),
            // A bookmark has nothing but its version.
            _ => false,
        };
        Ok(())
    }

    fn url(&self, query: &[(&str, &str)]) -> String {
        let place = if self.namespace.is_empty() {
            "/api/v1/pods".to_owned()
        } else {
            format!("/api/v1/namespaces/{}/pods", escaped(&self.namespace))
        };
        let selectors = [("labelSelector", &*self.discovery.label_selector), ("fieldSelector", &*self.discovery.field_selector)];
        let pairs = query.iter().chain(&selectors).filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        format!("{}{place}?{}", self.discovery.url.trim_end_matches('/'), pairs.join("&"))
    }
}

/// True when the pod is new or another than before.
fn put(pods: &mut Pods, pod: &Pod) -> bool {
    let (name, group) = (pod.name(), group(pod));
    if pods.get(&name) == Some(&group) {
        return false;
    }
    if pods.len() >= PODS_MAX && !pods.contains_key(&name) {
        warn!(pod = name.1, PODS_MAX, "too many pods");
        return false;
    }
    pods.insert(name, group);
    true
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
