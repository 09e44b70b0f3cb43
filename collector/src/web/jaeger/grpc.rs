//! Jaeger's gRPC services: `jaeger.api_v2.QueryService` and `jaeger.api_v3.QueryService`.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message;
use tonic::{Code, Status};

use super::answer::Problem;
use super::classic::kind_word;
use super::message::{chunks, duration_us, timestamp_us};
use super::{Jaeger, proto};
use crate::ingest::grpc::unary;
use crate::query::jaeger::search::LIMIT_MAX;
use crate::query::jaeger::{search, v3};
use crate::store::{Span, TraceQuery};

/// Bytes of a question.
const QUESTION_BYTES_MAX: usize = 64 * 1024;
/// Flag and length before each message.
const PREFIX_BYTES: usize = 5;
const OK: HeaderValue = HeaderValue::from_static("0");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

type Answer<M> = Result<M, Status>;

pub(super) fn routes(jaeger: Jaeger) -> Router {
    let (v2, v3) = ("/jaeger.api_v2.QueryService", "/jaeger.api_v3.QueryService");
    Router::new()
        .route(&format!("{v2}/GetTrace"), post(get_trace))
        .route(&format!("{v2}/FindTraces"), post(find_traces))
        .route(&format!("{v2}/ArchiveTrace"), post(archive_trace))
        .route(&format!("{v2}/GetServices"), post(get_services))
        .route(&format!("{v2}/GetOperations"), post(get_operations))
        .route(&format!("{v2}/GetDependencies"), post(get_dependencies))
        .route(&format!("{v3}/GetTrace"), post(get_trace_v3))
        .route(&format!("{v3}/FindTraces"), post(find_traces_v3))
        .route(&format!("{v3}/GetServices"), post(get_services))
        .route(&format!("{v3}/GetOperations"), post(get_operations_v3))
        .route(&format!("{v3}/GetDependencies"), post(get_dependencies))
        .with_state(jaeger)
}

async fn get_trace(State(jaeger): State<Jaeger>, request: Request) -> Response {
    let answer = async {
        let question: proto::TraceRequest = read(request).await?;
        let id = trace_id(&question.trace_id)?;
        let _turn = jaeger.turn().await?;
        let spans = jaeger.spans(id).await?;
        Ok(chunks(super::classic::told(vec![spans], question.raw_traces).await?))
    };
    stream(answer.await)
}

async fn find_traces(State(jaeger): State<Jaeger>, request: Request) -> Response {
    let answer = async {
        let question: proto::FindRequest = read(request).await?;
        let asked = question.query.ok_or_else(|| Status::invalid_argument("missing query"))?;
        if asked.service_name.is_empty() {
            return Err(Status::invalid_argument(search::service_is_required().to_string()));
        }
        let raw = asked.raw_traces;
        let _turn = jaeger.turn().await?;
        let found = jaeger.find(&query(asked)?).await?;
        Ok(chunks(super::classic::told(found.traces, raw).await?))
    };
    stream(answer.await)
}

async fn archive_trace(State(jaeger): State<Jaeger>, request: Request) -> Response {
    let answer = async {
        let question: proto::TraceRequest = read(request).await?;
        let id = trace_id(&question.trace_id)?;
        jaeger.archive(id).await?;
        Ok(proto::Nothing {})
    };
    single(answer.await)
}

async fn get_services(State(jaeger): State<Jaeger>, request: Request) -> Response {
    let answer = async {
        let _: proto::Nothing = read(request).await?;
        Ok(proto::Services { services: jaeger.store.services().await.map_err(Problem::from)? })
    };
    single(answer.await)
}

async fn get_operations(State(jaeger): State<Jaeger>, request: Request) -> Response {
    let answer = async {
        let operations = operations(&jaeger, request).await?;
        let mut operation_names: Vec<String> = operations.iter().map(|operation| operation.name.clone()).collect();
        operation_names.dedup();
        Ok(proto::Operations { operation_names, operations })
    };
    single(answer.await)
}

async fn get_operations_v3(State(jaeger): State<Jaeger>, request: Request) -> Response {
    single(operations(&jaeger, request).await.map(|operations| proto::OperationsV3 { operations }))
}

/// By their names.
async fn operations(jaeger: &Jaeger, request: Request) -> Answer<Vec<proto::Operation>> {
    let question: proto::OperationsRequest = read(request).await?;
    if question.service.is_empty() {
        return Err(Status::invalid_argument(search::service_is_required().to_string()));
    }
    let known = jaeger.store.operations(&question.service).await.map_err(Problem::from)?.into_iter();
    let told = known.map(|known| proto::Operation { name: known.name, span_kind: kind_word(known.kind).to_owned() });
    Ok(told.filter(|told| question.span_kind.is_empty() || told.span_kind == question.span_kind).collect())
}

async fn get_dependencies(State(jaeger): State<Jaeger>, request: Request) -> Response {
    let answer = async {
        let question: proto::DependenciesRequest = read(request).await?;
        let (Some(start), Some(end)) = (question.start_time, question.end_time) else {
            return Err(Status::invalid_argument("StartTime and EndTime must be initialized."));
        };
        let links = jaeger.links(timestamp_us(&start) / 1000, timestamp_us(&end) / 1000).await?.into_iter();
        let link = links.map(|link| proto::DependencyLink { parent: link.parent, child: link.child, call_count: link.calls });
        Ok(proto::Dependencies { dependencies: link.collect() })
    };
    single(answer.await)
}

async fn get_trace_v3(State(jaeger): State<Jaeger>, request: Request) -> Response {
    let answer = async {
        let question: proto::TraceRequestV3 = read(request).await?;
        let id = search::trace_id(&question.trace_id).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let _turn = jaeger.turn().await?;
        Ok(traces_data(vec![jaeger.spans(id).await?], question.raw_traces))
    };
    stream(answer.await)
}

async fn find_traces_v3(State(jaeger): State<Jaeger>, request: Request) -> Response {
    let answer = async {
        let question: proto::FindRequest = read(request).await?;
        let asked = question.query.ok_or_else(|| Status::invalid_argument("missing query"))?;
        if asked.start_time_min.is_none() || asked.start_time_max.is_none() {
            return Err(Status::invalid_argument("start time min and max are required parameters"));
        }
        let raw = asked.raw_traces;
        let _turn = jaeger.turn().await?;
        Ok(traces_data(jaeger.find(&query(asked)?).await?.traces, raw))
    };
    stream(answer.await)
}

/// One message per trace, made when it is its turn to be sent.
fn traces_data(
    traces: Vec<Vec<Span>>,
    raw: bool,
) -> impl Iterator<Item = opentelemetry_proto::tonic::trace::v1::TracesData> + Send {
    traces.into_iter().map(move |spans| v3::traces_data(spans, raw))
}

/// 16 bytes, or 8 of a short one; nothing names no trace.
fn trace_id(bytes: &[u8]) -> Answer<[u8; 16]> {
    let mut id = [0; 16];
    match bytes.len() {
        16 => id.copy_from_slice(bytes),
        8 => id[8..].copy_from_slice(bytes),
        0 => {}
        length => return Err(Status::invalid_argument(format!("a trace id has 16 bytes, not {length}"))),
    }
    if id == [0; 16] { Err(Status::invalid_argument("uninitialized TraceID is not allowed")) } else { Ok(id) }
}

fn query(asked: proto::QueryParameters) -> Answer<TraceQuery> {
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let (min, max) = (duration_us(asked.duration_min.as_ref()), duration_us(asked.duration_max.as_ref()));
    if let (Some(min), Some(max)) = (min, max)
        && max < min
    {
        return Err(Status::invalid_argument("duration_max is shorter than duration_min"));
    }
    let limit = match usize::try_from(asked.search_depth) {
        Ok(0) => v3::DEPTH,
        Ok(depth) => depth.min(LIMIT_MAX),
        Err(_) => return Err(Status::invalid_argument("search_depth must not be negative")),
    };
    Ok(TraceQuery {
        service: filled(asked.service_name),
        name: filled(asked.operation_name),
        duration_us_min: min,
        duration_us_max: max,
        annotations: asked.tags.into_iter().map(|(name, value)| (name, Some(value))).collect(),
        from_us: asked.start_time_min.as_ref().map_or(0, timestamp_us),
        to_us: asked.start_time_max.as_ref().map_or(i64::MAX - 1, timestamp_us).saturating_add(1),
        limit,
        ..TraceQuery::default()
    })
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let code = match problem.status {
            StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::INSUFFICIENT_STORAGE | StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
            _ => Code::Internal,
        };
        Self::new(code, problem.message)
    }
}

/// Reads the one message of a call.
async fn read<M: Message + Default>(request: Request) -> Answer<M> {
    let bytes = unary::read_small(request, QUESTION_BYTES_MAX).await.map_err(Status::from)?;
    M::decode(bytes).map_err(|error| Status::invalid_argument(format!("the message cannot be read: {error}")))
}

fn single(answer: Answer<impl Message>) -> Response {
    match answer {
        Ok(message) => unary::answer(&message.encode_to_vec()),
        Err(status) => status.into_http::<Body>(),
    }
}

/// Messages, each encoded when the client takes it, and the status that all went well.
fn stream<M: Message>(answer: Answer<impl Iterator<Item = M> + Send + 'static>) -> Response {
    let messages = match answer {
        Ok(messages) => messages,
        Err(status) => return status.into_http::<Body>(),
    };
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), OK)]);
    let frames = messages.map(|message| Frame::data(frame(&message))).chain(std::iter::once(Frame::trailers(trailers)));
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, GRPC)], Body::new(body)).into_response()
}

fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.extend_from_slice(&message.encode_to_vec());
    frame.freeze()
}
