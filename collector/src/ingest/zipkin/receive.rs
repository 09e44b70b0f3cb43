//! `POST /api/v2/spans`: decode, judge each span, and answer 202 only when what was taken is durable.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use bytes::Bytes;
use serde_json::Value;

use super::model::decode;
use super::{Refused, ZipkinDoor};
use crate::clock::now_ms;
use crate::ingest::door::{self, Attempt, Encoding, Judged, Refusal};
use crate::pipeline::SpanRequest;
use crate::store::{Delivery, Span};

pub(super) const SIGNAL: &str = "spans";

/// Bodies up to this size are decoded where they are; larger ones would hold up everybody else on the thread.
const INLINE_BYTES_MAX: usize = 32 * 1024;
/// Longest wait for the writer; what was handed over by then may still be stored, and a second delivery is recognised.
const WRITE_TIME_MAX: Duration = Duration::from_secs(20);

pub(super) async fn spans(State(door): State<ZipkinDoor>, request: Request) -> Result<StatusCode, Refused> {
    let mut attempt = door.door.attempt(SIGNAL)?;
    match read(&mut attempt, request).await {
        Ok(bytes) => take(&door, attempt, bytes).await,
        Err(refusal) => Err(attempt.refuse(refusal).into()),
    }
}

async fn read(attempt: &mut Attempt, request: Request) -> Result<Bytes, Refusal> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media.starts_with("application/x-protobuf") {
        return Err(Refusal::unsupported_media("spans are taken as JSON: send content-type application/json"));
    }
    let encoding = Encoding::of(request.headers())?;
    Ok(attempt.read(encoding, request.into_body()).await?.bytes)
}

async fn take(door: &ZipkinDoor, mut attempt: Attempt, body: Bytes) -> Result<StatusCode, Refused> {
    let (length, delivery) = (body.len(), Delivery::new(door.door.name(), &body));
    let judged = match decode_body(door.kept, body).await {
        Ok(judged) => judged,
        Err(refusal) => return Err(attempt.refuse(refusal).into()),
    };
    if let Err(refusal) = attempt.admit(judged.received()) {
        return Err(attempt.refuse_items(refusal, judged.received()).into());
    }
    attempt.settle();
    let nothing_taken = (judged.items.is_empty() && judged.received() > 0).then(|| judged.reasons());
    door.door.cut(judged.cut);
    let counts = judged.counts(door.door.name(), SIGNAL, length);
    let request = SpanRequest { door: door.door.name(), spans: judged.items, counts, delivery };
    match tokio::time::timeout(WRITE_TIME_MAX, door.door.intake().spans(request)).await {
        Ok(Ok(_)) => match nothing_taken {
            Some(reasons) => Err(Refused(StatusCode::BAD_REQUEST, format!("no span was taken: {reasons}"), None)),
            None => Ok(StatusCode::ACCEPTED),
        },
        Ok(Err(error)) => Err(Refusal::from(error).into()),
        Err(_) => Err(Refusal::unavailable("the store did not answer in time; try again").into()),
    }
}

async fn decode_body(kept: Duration, body: Bytes) -> Result<Judged<Span>, Refusal> {
    if body.len() <= INLINE_BYTES_MAX {
        decode_bytes(kept, &body)
    } else {
        door::elsewhere(move || decode_bytes(kept, &body)).await?
    }
}

fn decode_bytes(kept: Duration, body: &[u8]) -> Result<Judged<Span>, Refusal> {
    let values: Vec<Value> =
        serde_json::from_slice(body).map_err(|error| Refusal::undecodable(format!("expected a JSON array of spans: {error}")))?;
    let now_us = now_ms() * 1000;
    let oldest_us = now_us.saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
    let mut judged = Judged::default();
    for value in values {
        judged.push(decode(value, now_us, oldest_us));
    }
    Ok(judged)
}
