//! The OTLP doors: one service behind gRPC and HTTP, for protobuf and JSON.

mod attributes;
mod export;
mod http;
mod json;
mod logs;
mod metrics;
mod rpc;
mod spans;

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;

use super::door::{Attempt, Door, DoorLimits, DoorSecurity, Judged, Refusal, Times};
use super::intern::{Interner, Interners};
use super::wire::WireError;
use crate::clock::now_ms;
use crate::pipeline::{LogRequest, SamplePush, SpanRequest};
use crate::store::{Counts, Delivery, Retention, Store};

/// Messages up to this size are decoded where they are; larger ones would hold up everybody else on the thread.
const INLINE_BYTES_MAX: usize = 64 * 1024;

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
    store: Arc<dyn Store>,
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
    pub fn new(store: Arc<dyn Store>, door: Door, security: DoorSecurity, kept: Retention) -> Self {
        Self { store, door, security, interners: Arc::default(), kept }
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
            Signal::Metrics => self.take_metrics(attempt, message).await,
        }
    }

    async fn take_spans(&self, attempt: Attempt, message: Bytes) -> Result<Partial, Refusal> {
        let (door, times) = (self.door.name(), Times::new(now_ms(), self.kept.spans));
        let taken =
            Taken::read(self, attempt, message, move |message, interner, max| spans::decode(message, times, interner, max))
                .await?;
        let Taken { judged, counts, delivery, partial, attempt } = taken;
        let request = SpanRequest { door, spans: judged.items, counts, delivery };
        attempt.store(self.door.intake().spans(request)).await.map(|_| partial)
    }

    async fn take_logs(&self, attempt: Attempt, message: Bytes) -> Result<Partial, Refusal> {
        let (door, times) = (self.door.name(), Times::new(now_ms(), self.kept.logs));
        let taken =
            Taken::read(self, attempt, message, move |message, interner, max| logs::decode(message, times, interner, max))
                .await?;
        let Taken { judged, counts, delivery, partial, attempt } = taken;
        let request = LogRequest { door, records: judged.items, counts, delivery };
        attempt.store(self.door.intake().logs(request)).await.map(|_| partial)
    }
}

impl OtlpDoor {
    /// Counted in samples: a histogram is one for each bucket and two more.
    async fn take_metrics(&self, attempt: Attempt, message: Bytes) -> Result<Partial, Refusal> {
        let (bytes, delivery) = (message.len(), Delivery::new(self.door.name(), &message));
        let push = match self.read_metrics(&attempt, message).await {
            Ok(push) => push,
            Err(refusal) => return Err(attempt.refuse(refusal)),
        };
        let answer = attempt.store_samples(push, bytes, delivery).await?;
        let mut refused = Judged::<()>::up_to(0);
        refused.refused = answer.refused;
        Ok(Partial { rejected: refused.refused_count().cast_signed(), message: refused.message() })
    }

    async fn read_metrics(&self, attempt: &Attempt, message: Bytes) -> Result<SamplePush, Refusal> {
        let times = Times::new(now_ms(), self.kept.samples);
        let mut push = attempt.sample_push(&*self.store, times).await?;
        let is_small = message.len() <= INLINE_BYTES_MAX;
        let decode = move || metrics::decode(&message, times.now_ns / 1_000_000, &mut push).map(|()| push);
        let decoded = if is_small { decode() } else { attempt.elsewhere(decode).await? };
        decoded.map_err(|error| Refusal::undecodable(format!("expected an export of OTLP: {error}")))
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
        attempt: Attempt,
        message: Bytes,
        decode: impl FnOnce(&[u8], &mut Interner, usize) -> Result<Judged<T>, WireError> + Send + 'static,
    ) -> Result<Self, Refusal> {
        let (length, door, items_max) = (message.len(), otlp.door.name(), otlp.door.limits().items);
        let delivery = Delivery::new(door, &message);
        let interners = Arc::clone(&otlp.interners);
        let decode = move || interners.with(|interner| decode(&message, interner, items_max));
        let decoded = if length <= INLINE_BYTES_MAX { Ok(decode()) } else { attempt.elsewhere(decode).await };
        let undecodable = |error| Refusal::undecodable(format!("expected an export of OTLP: {error}"));
        let judged = match decoded.and_then(|decoded| decoded.map_err(undecodable)) {
            Ok(judged) => judged,
            Err(refusal) => return Err(attempt.refuse(refusal)),
        };
        let attempt = attempt.admit(judged.received())?;
        otlp.door.cut(judged.cut);
        let counts = judged.counts(door, attempt.signal(), length);
        let partial = Partial { rejected: judged.refused_count().cast_signed(), message: judged.message() };
        Ok(Self { judged, counts, delivery, partial, attempt })
    }
}

/// For fuzzers: all that a body of any signal goes through before it is handed over.
pub(crate) fn fuzz_protobuf(body: &[u8], times: Times, samples: &mut SamplePush) {
    let (mut interner, items_max) = (Interner::default(), DoorLimits::default().items);
    let _ = spans::decode(body, times, &mut interner, items_max);
    let _ = logs::decode(body, times, &mut interner, items_max);
    let _ = metrics::decode(body, times.now_ns / 1_000_000, samples);
}

/// For fuzzers: the same as JSON.
pub(crate) fn fuzz_json(body: &[u8], times: Times, samples: &mut SamplePush) {
    for signal in Signal::ALL {
        if let Ok(body) = json::to_protobuf(signal, body) {
            fuzz_protobuf(&body, times, samples);
        }
    }
}
