//! Answers timeline requests: traffic over time with the configuration changes in between.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use sidelight_api::timeline::{Change, Timeline};

use super::error::Refusal;
use super::parts::Shared;
use crate::query::graph::options::GraphOptions;
use crate::query::params::Params;
use crate::query::timeline::{Follow, points, read_step_s, rows_of};
use crate::store::in_namespaces;
use crate::store::revisions::StoredRevision;

pub async fn of_traffic(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Json<Timeline>, Refusal> {
    let params = Params::parse(&query.unwrap_or_default());
    let options = GraphOptions::read(&params, &shared.moment().await?)?;
    let follow = Follow::read(&params)?;
    let step_s = read_step_s(&params, options.window)?;
    let namespaces: Vec<String> = options.namespaces.iter().flatten().cloned().collect();
    let filter = (!namespaces.is_empty()).then(|| in_namespaces(&namespaces));
    let window = options.window;
    let end_ms = options.fresh.unwrap_or(window).to_ms;
    let edges = shared.store.edges(window, filter).await?.edges;
    let groups = tokio::task::spawn_blocking(move || rows_of(&edges, &options, &follow)).await?;
    let series = shared.store.edge_series(window, step_s, groups).await?;
    let changes = shared.revisions.changes(series.window.from_ms, end_ms.max(series.window.to_ms), &namespaces).await?;
    Ok(Json(Timeline {
        from_ms: series.window.from_ms,
        to_ms: series.window.to_ms,
        step_s: series.step_s,
        points: points(&series),
        changes: changes.into_iter().map(change).collect(),
        last_sample_ms: shared.store.last_sample_ms(&namespaces, end_ms).await?,
    }))
}

fn change(revision: StoredRevision) -> Change {
    Change {
        t_ms: revision.created_at_ms,
        kind: revision.key.kind,
        namespace: revision.key.namespace,
        name: revision.key.name,
        revision: revision.revision,
        action: revision.action,
        author: revision.author,
        message: revision.message,
    }
}
