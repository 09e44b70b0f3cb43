//! The OTLP doors: one service behind gRPC and HTTP, for protobuf and JSON.

mod attributes;
mod export;
mod http;
mod json;
mod logs;
mod rpc;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;

use super::door::{self, Attempt, Door, DoorSecurity, Judged, Refusal, Times};
use super::intern::{Interner, Interners};
use super::wire::WireError;
use crate::clock::now_ms;
use crate::pipeline::{LogRequest, SpanRequest, WriteError};
use crate::store::{Counts, Delivery, Retention, WriteReport};

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
    /// What is older than it is kept is refused.
    kept: Retention,
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
    pub fn new(door: Door, security: DoorSecurity, kept: Retention) -> Self {
        Self { door, security, interners: Arc::default(), kept }
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
    async fn take(&self, attempt: Attempt, signal: Signal, message: Bytes) -> Result<Partial, Refusal> {
        match signal {
            Signal::Traces => self.take_spans(attempt, message).await,
            Signal::Logs => self.take_logs(attempt, message).await,
            Signal::Metrics => Err(attempt.refuse(Refusal::unimplemented("metrics are not taken here yet"))),
        }
    }

    async fn take_spans(&self, attempt: Attempt, message: Bytes) -> Result<Partial, Refusal> {
        let (door, times) = (self.door.name(), Times::new(now_ms(), self.kept.spans));
        let taken = Taken::read(self, attempt, message, move |message, interner| spans::decode(message, times, interner)).await?;
        let Taken { judged, counts, delivery, partial, attempt } = taken;
        let request = SpanRequest { door, spans: judged.items, counts, delivery };
        stored(attempt, partial, self.door.intake().spans(request)).await
    }

    async fn take_logs(&self, attempt: Attempt, message: Bytes) -> Result<Partial, Refusal> {
        let (door, times) = (self.door.name(), Times::new(now_ms(), self.kept.logs));
        let taken = Taken::read(self, attempt, message, move |message, interner| logs::decode(message, times, interner)).await?;
        let Taken { judged, counts, delivery, partial, attempt } = taken;
        let request = LogRequest { door, records: judged.items, counts, delivery };
        stored(attempt, partial, self.door.intake().logs(request)).await
    }
}

/// An export that was read, admitted and counted; from here on the intake answers for it.
struct Taken<T> {
    judged: Judged<T>,
    counts: Counts,
    delivery: Delivery,
    partial: Partial,
    /// Keeps its place in the door until everything is stored.
    attempt: Attempt,
}

impl<T: Send + 'static> Taken<T> {
    async fn read(
        otlp: &OtlpDoor,
        mut attempt: Attempt,
        message: Bytes,
        decode: impl FnOnce(&[u8], &mut Interner) -> Result<Judged<T>, WireError> + Send + 'static,
    ) -> Result<Self, Refusal> {
        let (length, door) = (message.len(), otlp.door.name());
        let delivery = Delivery::new(door, &message);
        let interners = Arc::clone(&otlp.interners);
        let decode = move || interners.with(|interner| decode(&message, interner));
        let decoded = if length <= INLINE_BYTES_MAX { Ok(decode()) } else { door::elsewhere(decode).await };
        let undecodable = |error| Refusal::undecodable(format!("expected an export of OTLP: {error}"));
        let judged = match decoded.and_then(|decoded| decoded.map_err(undecodable)) {
            Ok(judged) => judged,
            Err(refusal) => return Err(attempt.refuse(refusal)),
        };
        if let Err(refusal) = attempt.admit(judged.received()) {
            return Err(attempt.refuse_items(refusal, judged.received()));
        }
        attempt.settle();
        otlp.door.cut(judged.cut);
        let counts = judged.counts(door, attempt.signal(), length);
        let partial = Partial { rejected: judged.refused_count().cast_signed(), message: judged.message() };
        Ok(Self { judged, counts, delivery, partial, attempt })
    }
}

/// Waits for the writer, within bounds.
async fn stored(
    _attempt: Attempt,
    partial: Partial,
    writing: impl Future<Output = Result<WriteReport, WriteError>>,
) -> Result<Partial, Refusal> {
    match tokio::time::timeout(WRITE_TIME_MAX, writing).await {
        Ok(Ok(_)) => Ok(partial),
        Ok(Err(error)) => Err(Refusal::from(error)),
        Err(_) => Err(Refusal::unavailable("the store did not answer in time; try again")),
    }
}
