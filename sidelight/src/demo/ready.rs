//! Waits until the demo shows what it promises: proxies in sync, a page through the gateway, every edge in the graph.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use http::{Method, StatusCode};
use sidelight_api::graph::{Graph, GraphType, Node};
use sidelight_api::proxy::{ProxyList, SyncState};
use tokio::time::{Instant, sleep};

use crate::cli::ServerArgs;
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::verbs::graph;

const POLL: Duration = Duration::from_millis(100);
/// Window of the graph that is asked for the edges.
const WINDOW_S: u64 = 60;
const NAMESPACES: [&str; 2] = ["bookinfo", "istio-system"];

/// What Bookinfo's traffic draws, by workload.
pub const EDGES: [(&str, &str); 7] = [
    ("istio-ingressgateway", "productpage-v1"),
    ("productpage-v1", "details-v1"),
    ("productpage-v1", "reviews-v1"),
    ("productpage-v1", "reviews-v2"),
    ("productpage-v1", "reviews-v3"),
    ("reviews-v2", "ratings-v1"),
    ("reviews-v3", "ratings-v1"),
];

pub type Edges = BTreeSet<(String, String)>;

/// Until the collector answers.
pub async fn collector(client: &ApiClient) {
    while !matches!(client.raw(Method::GET, "/readyz", Default::default()).await, Ok((StatusCode::OK, _))) {
        sleep(POLL).await;
    }
}

/// Until so many proxies are connected and have accepted everything they were sent.
pub async fn proxies(client: &ApiClient, wanted: usize) {
    loop {
        if let Ok(list) = client.get::<ProxyList>("/api/proxies").await
            && in_sync(&list) >= wanted
        {
            return;
        }
        sleep(POLL).await;
    }
}

/// A gateway has no routes before its Gateway object, so only what was sent counts.
#[must_use]
pub fn in_sync(list: &ProxyList) -> usize {
    let synced = |proxy: &&sidelight_api::proxy::Proxy| {
        let types = &proxy.types;
        proxy.connected
            && ["CDS", "LDS"].iter().all(|name| types.contains_key(*name))
            && types.values().all(|sync| sync.state == SyncState::Synced)
    };
    list.proxies.iter().filter(synced).count()
}

/// Until a whole page comes through the gateway.
///
/// # Errors
/// The address cannot be made a URL, which cannot be.
pub async fn gateway(address: SocketAddr) -> Result<(), Exit> {
    let client = ApiClient::new(&ServerArgs { server: format!("http://{address}"), token: None })?;
    while !matches!(client.raw(Method::GET, "/productpage", Default::default()).await, Ok((StatusCode::OK, _))) {
        sleep(POLL).await;
    }
    Ok(())
}

/// Until the graph has every edge, or `limit`; what is missing then.
pub async fn edges(client: &ApiClient, limit: Option<Duration>, mut tell: impl FnMut(&Edges)) -> Edges {
    let started = Instant::now();
    let mut told = started;
    loop {
        let missing = missing_edges(client).await;
        if missing.is_empty() || limit.is_some_and(|limit| started.elapsed() >= limit) {
            return missing;
        }
        if told.elapsed() >= Duration::from_secs(10) {
            told = Instant::now();
            tell(&missing);
        }
        sleep(POLL * 3).await;
    }
}

async fn missing_edges(client: &ApiClient) -> Edges {
    let namespaces = NAMESPACES.map(str::to_owned);
    let wanted = EDGES.map(|(from, to)| (from.to_owned(), to.to_owned()));
    let mut missing = Edges::from(wanted);
    if let Ok(graph) = client.get::<Graph>(&graph::path(&namespaces, GraphType::Workload, WINDOW_S)).await {
        for edge in workload_edges(&graph) {
            missing.remove(&edge);
        }
    }
    missing
}

/// Caller and callee of each edge, by workload.
#[must_use]
pub fn workload_edges(graph: &Graph) -> Edges {
    let nodes: HashMap<&str, &Node> = graph.elements.nodes.iter().map(|node| (node.data.id.as_str(), &node.data)).collect();
    let name = |id: &str| nodes.get(id).and_then(|node| node.workload.clone());
    let edges = graph.elements.edges.iter().map(|edge| &edge.data);
    edges.filter_map(|edge| Some((name(&edge.source)?, name(&edge.target)?))).collect()
}
