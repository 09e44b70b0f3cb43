//! Answers graph requests: fetches the window's totals and the mesh's picture, and has the graph built beside the event loop.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use sidelight_api::graph::Graph;

use super::error::Refusal;
use super::parts::Shared;
use crate::query::graph::focus::{Focus, FocusOn};
use crate::query::graph::options::GraphOptions;
use crate::query::graph::{Input, build, build_around};
use crate::query::params::Params;
use crate::store::{EdgeTotals, Totals, in_namespaces};

pub async fn of_namespaces(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Json<Graph>, Refusal> {
    answer(&shared, query, None).await
}

pub async fn of_workload(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Graph>, Refusal> {
    answer(&shared, query, Some(Focus { namespace, on: FocusOn::Workload(name) })).await
}

pub async fn of_service(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Graph>, Refusal> {
    answer(&shared, query, Some(Focus { namespace, on: FocusOn::Service(name) })).await
}

pub async fn of_app(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Graph>, Refusal> {
    answer(&shared, query, Some(Focus { namespace, on: FocusOn::App { name, version: None } })).await
}

pub async fn of_app_version(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name, version)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Graph>, Refusal> {
    let version = Some(version);
    answer(&shared, query, Some(Focus { namespace, on: FocusOn::App { name, version } })).await
}

async fn answer(shared: &Shared, query: Option<String>, focus: Option<Focus>) -> Result<Json<Graph>, Refusal> {
    let params = Params::parse(&query.unwrap_or_default());
    let mut options = GraphOptions::read(&params, &shared.moment().await?)?;
    let namespaces = shown_namespaces(&options, focus.as_ref());
    let filter = (!namespaces.is_empty()).then(|| in_namespaces(&namespaces));
    let end_ms = options.fresh.unwrap_or(options.window).to_ms;
    let found = shared.store.edges(options.window, filter.clone()).await?;
    let fresh = match options.fresh {
        Some(window) => shared.store.edges(window, filter).await?.edges,
        None => Vec::new(),
    };
    let mut edges = found.edges;
    // The store rounds the window outwards to steps that it still has; rates divide by what the counts really cover.
    options.window = found.window;
    if options.include_idle_edges {
        edges.extend(idle_edges(shared, &edges, &namespaces).await?);
    }
    let last_sample_ms = shared.store.last_sample_ms(&namespaces, end_ms).await?;
    let mesh = Arc::clone(&shared.mesh);
    let graph = tokio::task::spawn_blocking(move || {
        let facts = mesh.facts();
        let input = Input { edges: &edges, fresh: &fresh, mesh: &facts, last_sample_ms };
        match focus {
            Some(focus) => build_around(input, &options, &focus),
            None => build(input, &options),
        }
    });
    Ok(Json(graph.await?))
}

/// Empty for all.
fn shown_namespaces(options: &GraphOptions, focus: Option<&Focus>) -> Vec<String> {
    match focus {
        Some(focus) => vec![focus.namespace.clone()],
        None => options.namespaces.iter().flatten().cloned().collect(),
    }
}

/// Edges that are known from before and carried nothing in the window.
async fn idle_edges(shared: &Shared, busy: &[EdgeTotals], namespaces: &[String]) -> Result<Vec<EdgeTotals>, Refusal> {
    let known = shared.store.known_edges().await?;
    let busy: HashSet<_> = busy.iter().map(|edge| &edge.labels).collect();
    let wanted = |labels: &Arc<_>| namespaces.is_empty() || in_namespaces(namespaces)(labels);
    let idle = known.into_iter().filter(|labels| !busy.contains(labels) && wanted(labels));
    Ok(idle.map(|labels| EdgeTotals { labels, totals: Totals::default() }).collect())
}
