//! Answers searches for traces, and shows one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use sidelight_api::trace::{Trace, TraceList};

use super::error::Refusal;
use super::parts::Shared;
use crate::clock;
use crate::query::params::Params;
use crate::query::traces::{read_id, read_query, summary, whole};
use crate::store::TRACE_SPANS_MAX;

pub async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Json<TraceList>, Refusal> {
    let query = read_query(&Params::parse(&query.unwrap_or_default()), clock::now_ms())?;
    let limit = query.limit;
    let found = shared.store.find_traces(&query).await?;
    let is_cut = found.is_cut || found.traces.len() >= limit;
    let summaries = move || found.traces.iter().filter_map(|spans| summary(spans, spans.len() >= TRACE_SPANS_MAX)).collect();
    Ok(Json(TraceList { traces: tokio::task::spawn_blocking(summaries).await?, is_cut }))
}

pub async fn one(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<Trace>, Refusal> {
    let bad = || Refusal::bad_request(format!("`{id}` is no trace id: 1 to 32 hexadecimal digits"));
    let trace_id = read_id(&id).ok_or_else(bad)?;
    let spans = shared.store.trace(trace_id).await?;
    let trace = tokio::task::spawn_blocking(move || whole(&spans, spans.len() >= TRACE_SPANS_MAX)).await?;
    trace.map(Json).ok_or_else(|| Refusal::not_found(format!("there is no trace {id}")))
}
