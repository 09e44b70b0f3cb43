//! OTLP over gRPC: three services with one method each.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use super::{OtlpDoor, Partial, Signal};
use crate::ingest::door::{Guard, Refusal, require_token};
use crate::ingest::grpc::{self, unary};

impl Signal {
    fn method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

pub(super) fn routes(door: &OtlpDoor) -> Router {
    Signal::ALL.into_iter().fold(Router::new(), |routes, signal| {
        let (mine, guard) = (door.clone(), door.guard(signal, grpc::refuse));
        let method = post(move |request: Request| export(mine, signal, request));
        routes.route(signal.method(), method.layer(from_fn_with_state(guard, require_token)))
    })
}

async fn export(door: OtlpDoor, signal: Signal, request: Request) -> Response {
    match serve(&door, signal, request).await {
        Ok(partial) => unary::answer(&partial.to_protobuf()),
        Err(refusal) => unary::refuse(refusal),
    }
}

async fn serve(door: &OtlpDoor, signal: Signal, request: Request) -> Result<Partial, Refusal> {
    let mut attempt = door.door.attempt(signal.name())?;
    match unary::read(&mut attempt, request).await {
        Ok(message) => door.take(attempt, signal, message).await,
        Err(refusal) => Err(attempt.refuse(refusal)),
    }
}

impl OtlpDoor {
    pub(super) fn guard(&self, signal: Signal, answer: fn(&Request, Refusal) -> Response) -> Guard {
        Guard { security: self.security.clone(), door: self.door.clone(), signal: signal.name(), answer }
    }
}

impl Partial {
    /// The answers of all three services have the same fields under different names.
    pub(super) fn to_protobuf(&self) -> Vec<u8> {
        let is_partial = self.rejected > 0 || !self.message.is_empty();
        let partial_success =
            is_partial.then(|| ExportTracePartialSuccess { rejected_spans: self.rejected, error_message: self.message.clone() });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    }
}
