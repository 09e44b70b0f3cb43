//! The classic JSON API, which Jaeger's interface, Grafana and Kiali speak.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde::Serialize;

use super::Jaeger;
use super::answer::{Envelope, EnvelopeError, Problem};
use crate::clock;
use crate::query::jaeger::model::JaegerTrace;
use crate::query::jaeger::{convert, json, search};
use crate::query::params::Params;
use crate::store::{self, Span, SpanKind, TRACE_SPANS_MAX};

/// Spans of all traces that are asked for by their ids.
const SPANS_MAX: usize = 200_000;
/// Told of a trace that has more spans than one answer.
const CUT: &str = "the trace has more spans than are shown";

#[derive(Debug, Serialize)]
pub(super) struct Operation {
    name: String,
    #[serde(rename = "spanKind")]
    span_kind: &'static str,
}

impl Operation {
    /// Those of one kind, or all.
    pub fn told(operations: Vec<store::Operation>, kind: Option<&str>) -> Vec<Self> {
        let told = operations.into_iter().map(|operation| Self { name: operation.name, span_kind: kind_word(operation.kind) });
        told.filter(|operation| kind.is_none_or(|kind| operation.span_kind == kind)).collect()
    }
}

/// Jaeger's word; empty for a kind that is not told.
pub(super) fn kind_word(kind: Option<SpanKind>) -> &'static str {
    kind.and_then(|kind| convert::kind_word(kind as i32)).unwrap_or_default()
}

pub(super) fn params(query: Option<String>) -> Params {
    Params::parse(&query.unwrap_or_default())
}

pub(super) async fn services(State(jaeger): State<Jaeger>) -> Result<Envelope<Vec<String>>, Problem> {
    let services = jaeger.store.services().await?;
    let total = services.len();
    Ok(Envelope::new(services).total(total))
}

pub(super) async fn operation_names(
    State(jaeger): State<Jaeger>,
    Path(service): Path<String>,
) -> Result<Envelope<Vec<String>>, Problem> {
    let names = jaeger.store.span_names(&service).await?;
    let total = names.len();
    Ok(Envelope::new(names).total(total))
}

pub(super) async fn operations(
    State(jaeger): State<Jaeger>,
    RawQuery(query): RawQuery,
) -> Result<Envelope<Vec<Operation>>, Problem> {
    let params = params(query);
    let service = params.filled("service").ok_or_else(search::service_is_required)?;
    let kind = params.filled("spanKind");
    let told = Operation::told(jaeger.store.operations(service).await?, kind);
    let total = told.len();
    Ok(Envelope::new(told).total(total))
}

pub(super) async fn search(
    State(jaeger): State<Jaeger>,
    RawQuery(query): RawQuery,
) -> Result<Envelope<Vec<JaegerTrace>>, Problem> {
    let search = search::search(&params(query), clock::now_ms())?;
    let _turn = jaeger.turn().await?;
    let (mut traces, mut errors) = (Vec::new(), Vec::new());
    if search.trace_ids.is_empty() {
        traces = jaeger.find(&search.query).await?.traces;
    }
    let mut count = 0;
    for id in &search.trace_ids {
        let spans = jaeger.store.trace(*id).await?;
        count += spans.len();
        if count > SPANS_MAX {
            let message = format!("the traces have more than {SPANS_MAX} spans; ask for fewer");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        if spans.is_empty() {
            let msg = "trace not found".to_owned();
            errors.push(EnvelopeError { code: None, msg, trace_id: Some(json::trace_id(id)) });
        } else {
            traces.push(spans);
        }
    }
    Ok(Envelope::new(told(traces, search.raw).await?).errors(errors))
}

pub(super) async fn trace(
    State(jaeger): State<Jaeger>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Envelope<Vec<JaegerTrace>>, Problem> {
    let id = search::trace_id(&id)?;
    let raw = search::raw(&params(query))?;
    let _turn = jaeger.turn().await?;
    let spans = jaeger.spans(id).await?;
    Ok(Envelope::new(told(vec![spans], raw).await?))
}

/// Shows traces of a file that somebody has; nothing is stored.
pub(super) async fn transform(State(jaeger): State<Jaeger>, body: Bytes) -> Result<Envelope<Vec<JaegerTrace>>, Problem> {
    let _turn = jaeger.turn().await?;
    let read = move || serde_json::from_slice::<ExportTraceServiceRequest>(&body).map(convert::traces_of);
    let unreadable = |error| Problem::new(StatusCode::BAD_REQUEST, format!("cannot unmarshal OTLP: {error}"));
    Ok(Envelope::new(tokio::task::spawn_blocking(read).await?.map_err(unreadable)?))
}

#[derive(Debug, Serialize)]
pub(super) struct Dependency {
    parent: String,
    child: String,
    #[serde(rename = "callCount")]
    call_count: u64,
}

pub(super) async fn dependencies(
    State(jaeger): State<Jaeger>,
    RawQuery(query): RawQuery,
) -> Result<Envelope<Vec<Dependency>>, Problem> {
    let params = params(query);
    let (from_ms, to_ms) = search::dependencies(&params, clock::now_ms())?;
    let service = params.filled("service");
    let links = jaeger.links(from_ms, to_ms).await?.into_iter();
    let of_service = links.filter(|link| service.is_none_or(|service| link.parent == service || link.child == service));
    let told = of_service.map(|link| Dependency { parent: link.parent, child: link.child, call_count: link.calls });
    Ok(Envelope::new(told.collect()))
}

pub(super) async fn archive(
    State(jaeger): State<Jaeger>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Envelope<[(); 0]>, Problem> {
    let id = search::trace_id(&id)?;
    search::raw(&params(query))?;
    let _turn = jaeger.turn().await?;
    jaeger.archive(id).await?;
    Ok(Envelope::new([]).no_errors())
}

/// Large traces take a while.
pub(super) async fn told(traces: Vec<Vec<Span>>, raw: bool) -> Result<Vec<JaegerTrace>, Problem> {
    let convert = move |spans: Vec<Span>| {
        let is_cut = spans.len() >= TRACE_SPANS_MAX;
        let mut trace = convert::trace(spans, raw);
        trace.warnings.extend(is_cut.then(|| CUT.to_owned()));
        trace
    };
    Ok(tokio::task::spawn_blocking(move || traces.into_iter().map(convert).collect()).await?)
}
