//! Zipkin's query API v2 from our own store (contract §8.4).

mod params;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use self::params::{Dependencies, OfService, TraceIds, Traces, ValuesOf};
use super::turns::Turns;
use crate::causes::with_causes;
use crate::clock::now_ms;
use crate::ingest::zipkin::ZipkinSpan;
use crate::query::traces::read_id;
use crate::store::{Span, Store, StoreError, Window};

/// Spans of all traces of one answer.
const SPANS_MAX: usize = 200_000;

/// What the handlers share.
#[derive(Clone)]
struct Zipkin {
    store: Arc<dyn Store>,
    turns: Turns,
}

/// Whoever asks sees everybody's requests: where these are served, somebody guards them.
pub fn routes(store: Arc<dyn Store>, turns: Turns) -> Router {
    Router::new()
        .route("/api/v2/services", get(services))
        .route("/api/v2/spans", get(span_names))
        .route("/api/v2/remoteServices", get(remote_services))
        .route("/api/v2/traces", get(traces))
        .route("/api/v2/trace/{id}", get(trace))
        .route("/api/v2/traceMany", get(trace_many))
        .route("/api/v2/dependencies", get(dependencies))
        .route("/api/v2/autocompleteKeys", get(autocomplete_keys))
        .route("/api/v2/autocompleteValues", get(autocomplete_values))
        .with_state(Zipkin { store, turns })
}

/// An answer in Zipkin's manner: a status and one line of text.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl Refused {
    fn bad(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, text.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = with_causes(&error), "the store did not answer a query of spans");
        Self(StatusCode::SERVICE_UNAVAILABLE, "the store did not answer; try again".to_owned())
    }
}

type Answer<T> = Result<Json<T>, Refused>;

async fn services(State(zipkin): State<Zipkin>) -> Answer<Vec<String>> {
    Ok(Json(zipkin.store.services().await?))
}

async fn span_names(State(zipkin): State<Zipkin>, Query(asked): Query<OfService>) -> Answer<Vec<String>> {
    Ok(Json(zipkin.store.span_names(&asked.service()?).await?))
}

async fn remote_services(State(zipkin): State<Zipkin>, Query(asked): Query<OfService>) -> Answer<Vec<String>> {
    Ok(Json(zipkin.store.remote_services(&asked.service()?).await?))
}

async fn traces(State(zipkin): State<Zipkin>, Query(asked): Query<Traces>) -> Answer<Vec<Vec<ZipkinSpan>>> {
    let query = asked.query(now_ms())?;
    let _turn = turn(&zipkin).await?;
    let found = zipkin.store.find_traces(&query).await?;
    Ok(Json(found.traces.into_iter().map(told).collect()))
}

async fn trace(State(zipkin): State<Zipkin>, Path(id): Path<String>) -> Answer<Vec<ZipkinSpan>> {
    let trace_id = trace_id(&id)?;
    let _turn = turn(&zipkin).await?;
    let spans = zipkin.store.trace(trace_id).await?;
    if spans.is_empty() {
        return Err(Refused(StatusCode::NOT_FOUND, format!("no trace {id}")));
    }
    Ok(Json(told(spans)))
}

/// Those that are known, in the order of their ids.
async fn trace_many(State(zipkin): State<Zipkin>, Query(asked): Query<TraceIds>) -> Answer<Vec<Vec<ZipkinSpan>>> {
    let ids = asked.ids()?;
    let _turn = turn(&zipkin).await?;
    let (mut traces, mut count) = (Vec::new(), 0);
    for id in ids {
        let spans = zipkin.store.trace(id).await?;
        count += spans.len();
        if count > SPANS_MAX {
            let text = format!("the traces have more than {SPANS_MAX} spans; ask for fewer");
            return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        if !spans.is_empty() {
            traces.push(told(spans));
        }
    }
    Ok(Json(traces))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    parent: String,
    child: String,
    call_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    error_count: u64,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

async fn dependencies(State(zipkin): State<Zipkin>, Query(asked): Query<Dependencies>) -> Answer<Vec<Link>> {
    let (from_ms, to_ms) = asked.window()?;
    let links = zipkin.store.service_links(Window { from_ms, to_ms }).await?.into_iter();
    let link = |link: crate::store::ServiceLink| Link {
        parent: link.parent,
        child: link.child,
        call_count: link.calls,
        error_count: link.errors,
    };
    Ok(Json(links.map(link).collect()))
}

/// As of a Zipkin that is not told which tags to complete.
async fn autocomplete_keys() -> Json<[String; 0]> {
    Json([])
}

async fn autocomplete_values(Query(asked): Query<ValuesOf>) -> Answer<[String; 0]> {
    asked.key()?;
    Ok(Json([]))
}

async fn turn(zipkin: &Zipkin) -> Result<tokio::sync::OwnedSemaphorePermit, Refused> {
    let busy = || Refused(StatusCode::SERVICE_UNAVAILABLE, "too many questions are being answered; try again".to_owned());
    zipkin.turns.take().await.ok_or_else(busy)
}

fn told(spans: Vec<Span>) -> Vec<ZipkinSpan> {
    spans.into_iter().map(ZipkinSpan::from).collect()
}

fn trace_id(text: &str) -> Result<[u8; 16], Refused> {
    read_id(text).ok_or_else(|| Refused::bad(format!("`{text}` is no trace id: 1 to 32 hexadecimal digits")))
}
