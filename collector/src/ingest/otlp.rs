//! The OTLP doors: one service behind gRPC and HTTP, for protobuf and JSON.

mod attributes;
mod http;
mod json;
mod rpc;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;

use super::door::{self, Attempt, Door, DoorSecurity, Judged, Refusal, Times};
use super::intern::Interners;
use crate::clock::now_ms;
use crate::pipeline::SpanRequest;
use crate::store::{Delivery, Span};

/// Messages up to this size are decoded where they are; larger ones would hold up everybody else on the thread.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for the writer. The client is told to try again; what was handed over may still be stored, and the
/// second delivery of it is recognised.
const WRITE_TIME_MAX: Duration = Duration::from_secs(20);

/// What an export carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// OTLP through one of its ports. Cheap to clone.
#[derive(Clone)]
pub struct OtlpDoor {
    door: Door,
    security: DoorSecurity,
    interners: Arc<Interners>,
    /// Spans that began longer ago are refused.
    spans_kept: Duration,
}

/// What was not taken of an export that was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Partial {
    rejected: i64,
    message: String,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// In `GET /api/ingest`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "samples",
            Self::Logs => "logs",
        }
    }
}

impl OtlpDoor {
    #[must_use]
    pub fn new(door: Door, security: DoorSecurity, spans_kept: Duration) -> Self {
        Self { door, security, interners: Arc::default(), spans_kept }
    }

    /// The methods of OTLP over gRPC.
    pub fn grpc(&self) -> Router {
        rpc::routes(self)
    }

    /// `/v1/traces`, `/v1/metrics` and `/v1/logs`.
    pub fn http(&self) -> Router {
        http::routes(self)
    }

    /// Decodes an export and stores it; counted whatever becomes of it.
    async fn take(&self, mut attempt: Attempt, signal: Signal, message: Bytes) -> Result<Partial, Refusal> {
        match signal {
            Signal::Traces => {
                let (length, delivery) = (message.len(), Delivery::new(self.door.name(), &message));
                let judged = match self.decode_spans(message).await {
                    Ok(judged) => judged,
                    Err(refusal) => return Err(attempt.refuse(refusal)),
                };
                if let Err(refusal) = attempt.admit(judged.received()) {
                    return Err(attempt.refuse_items(refusal, judged.received()));
                }
                attempt.settle();
                self.store_spans(judged, length, delivery).await
            }
            Signal::Metrics => Err(attempt.refuse(Refusal::unimplemented("metrics are not taken here yet"))),
            Signal::Logs => Err(attempt.refuse(Refusal::unimplemented("logs are not taken here yet"))),
        }
    }

    async fn decode_spans(&self, message: Bytes) -> Result<Judged<Span>, Refusal> {
        let times = Times::new(now_ms(), self.spans_kept);
        let interners = Arc::clone(&self.interners);
        let is_small = message.len() <= INLINE_BYTES_MAX;
        let decode = move || interners.with(|interner| spans::decode(&message, times, interner));
        let decoded = if is_small { decode() } else { door::elsewhere(decode).await? };
        decoded.map_err(|error| Refusal::undecodable(format!("expected an ExportTraceServiceRequest: {error}")))
    }

    async fn store_spans(&self, judged: Judged<Span>, length: usize, delivery: Delivery) -> Result<Partial, Refusal> {
        let door = self.door.name();
        let counts = judged.counts(door, Signal::Traces.name(), length);
        let partial = Partial { rejected: judged.refused_count().cast_signed(), message: judged.message() };
        self.door.cut(judged.cut);
        let request = SpanRequest { door, spans: judged.items, counts, delivery };
        let stored = self.door.intake().spans(request);
        match tokio::time::timeout(WRITE_TIME_MAX, stored).await {
            Ok(Ok(_)) => Ok(partial),
            Ok(Err(error)) => Err(Refusal::from(error)),
            Err(_) => Err(Refusal::unavailable("the store did not answer in time; try again")),
        }
    }
}
