//! API v3 over HTTP: OTLP's JSON in an envelope.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use serde::Serialize;

use super::Jaeger;
use super::answer::{Problem, V3Problem};
use super::classic::{Operation, params};
use crate::query::jaeger::{search as classic, v3};
use crate::store::Span;

#[derive(Serialize)]
pub(super) struct Services {
    services: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Operations {
    operations: Vec<Operation>,
}

/// What streams over gRPC comes as one result over HTTP.
#[derive(Serialize)]
pub(super) struct Answer {
    result: TracesData,
}

pub(super) async fn services(State(jaeger): State<Jaeger>) -> Result<Json<Services>, V3Problem> {
    Ok(Json(Services { services: jaeger.store.services().await? }))
}

pub(super) async fn operations(State(jaeger): State<Jaeger>, RawQuery(query): RawQuery) -> Result<Json<Operations>, V3Problem> {
    let params = params(query);
    let service = params.filled("service").ok_or_else(classic::service_is_required)?;
    let kind = params.filled("span_kind").or_else(|| params.filled("spanKind"));
    Ok(Json(Operations { operations: Operation::told(jaeger.store.operations(service).await?, kind) }))
}

pub(super) async fn search(State(jaeger): State<Jaeger>, RawQuery(query): RawQuery) -> Result<Json<Answer>, V3Problem> {
    let (query, raw) = v3::search(&params(query))?;
    let _turn = jaeger.turn().await?;
    let found = jaeger.find(&query).await?.traces;
    if found.is_empty() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "No traces found").into());
    }
    told(found, raw).await
}

pub(super) async fn trace(
    State(jaeger): State<Jaeger>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Answer>, V3Problem> {
    let id = classic::trace_id(&id).map_err(|error| v3::malformed("trace_id", error))?;
    let raw = v3::raw(&params(query))?;
    let _turn = jaeger.turn().await?;
    told(vec![jaeger.spans(id).await?], raw).await
}

/// The traces one after the other.
async fn told(traces: Vec<Vec<Span>>, raw: bool) -> Result<Json<Answer>, V3Problem> {
    let told = move || traces.into_iter().flat_map(|spans| v3::traces_data(spans, raw).resource_spans).collect();
    let resource_spans = tokio::task::spawn_blocking(told).await?;
    Ok(Json(Answer { result: TracesData { resource_spans } }))
}
