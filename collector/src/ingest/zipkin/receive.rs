//! `POST /api/v2/spans`: decode, judge each span, and answer 202 only when what was taken is durable.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::model::{Reason, decode};
use super::{BODY_BYTES_MAX, Refused, ZipkinDoor};
use crate::clock::now_ms;
use crate::pipeline::WriteError;
use crate::store::{Counts, Span};

const DOOR: &str = "zipkin";
const SIGNAL: &str = "spans";

/// A body must have arrived by then: it holds one of the few places for bodies.
const BODY_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(20);

/// Bodies up to this size are decoded where they are; larger ones would hold up everybody else on the thread.
const INLINE_BYTES_MAX: usize = 32 * 1024;

/// The spans that are taken, all counts, and why the first of the others was refused.
type Decoded = (Vec<Span>, Counts, Option<Reason>);

/// A body that was not decoded counts as one.
struct BadBody(StatusCode, Reason, String);

pub(super) async fn spans(State(door): State<ZipkinDoor>, headers: HeaderMap, body: Body) -> Result<StatusCode, Refused> {
    let Ok(_place) = door.bodies.try_acquire() else {
        return Err(busy(&door, 1));
    };
    match decode_body(&door, &headers, body).await {
        Ok((spans, counts, first_refusal)) => store(&door, spans, counts, first_refusal).await,
        Err(BadBody(status, reason, message)) => {
            let mut counts = Counts::default();
            counts.add(DOOR, SIGNAL, "received", 1);
            counts.refuse(DOOR, SIGNAL, reason, 1);
            if let Err(error) = door.writer.counts(counts.clone()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a refusal is not written yet");
                door.unwritten.lock().merge(&counts);
            }
            Err(Refused(status, message))
        }
    }
}

async fn store(
    door: &ZipkinDoor,
    spans: Vec<Span>,
    mut counts: Counts,
    first_refusal: Option<Reason>,
) -> Result<StatusCode, Refused> {
    let received = counts.total(DOOR, SIGNAL, "received");
    let nothing_left = spans.is_empty();
    let unwritten = std::mem::take(&mut *door.unwritten.lock());
    counts.merge(&unwritten);
    match door.writer.spans(DOOR, spans, counts).await {
        Ok(_) => match first_refusal.filter(|_| nothing_left) {
            Some(reason) => Err(Refused(StatusCode::BAD_REQUEST, format!("no span was taken: {reason}"))),
            None => Ok(StatusCode::ACCEPTED),
        },
        Err(error) => {
            door.unwritten.lock().merge(&unwritten);
            match error {
                WriteError::Busy => Err(busy(door, received)),
                WriteError::Closed => Err(Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
                WriteError::Store(source) => {
                    tracing::error!(error = &*source as &dyn std::error::Error, "spans were not stored");
                    Err(Refused(StatusCode::SERVICE_UNAVAILABLE, "the database did not take the spans".to_owned()))
                }
            }
        }
    }
}

fn busy(door: &ZipkinDoor, received: u64) -> Refused {
    let mut unwritten = door.unwritten.lock();
    unwritten.add(DOOR, SIGNAL, "received", received);
    unwritten.refuse(DOOR, SIGNAL, "busy", received);
    Refused(StatusCode::SERVICE_UNAVAILABLE, "too many spans wait to be written; try again".to_owned())
}

async fn decode_body(door: &ZipkinDoor, headers: &HeaderMap, body: Body) -> Result<Decoded, BadBody> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header(header::CONTENT_TYPE).starts_with("application/x-protobuf") {
        let message = "spans are taken as JSON: send content-type application/json";
        return Err(BadBody(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message.to_owned()));
    }
    let is_gzip = match header(header::CONTENT_ENCODING) {
        "" | "identity" => false,
        "gzip" => true,
        other => {
            let message = format!("content-encoding `{other}` is not known; use gzip or none");
            return Err(BadBody(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message));
        }
    };
    let bytes = read(body).await?;
    let kept = door.kept;
    if bytes.len() <= INLINE_BYTES_MAX && !is_gzip {
        return decode_bytes(&bytes, is_gzip, kept);
    }
    let decoded = tokio::task::spawn_blocking(move || decode_bytes(&bytes, is_gzip, kept)).await;
    decoded.unwrap_or_else(|error| {
        tracing::error!(%error, "decoding ended early");
        Err(BadBody(StatusCode::INTERNAL_SERVER_ERROR, "undecodable", "the body could not be decoded".to_owned()))
    })
}

fn decode_bytes(bytes: &Bytes, is_gzip: bool, kept: Duration) -> Result<Decoded, BadBody> {
    let bytes = if is_gzip { unzip(bytes)? } else { bytes.clone() };
    let values: Vec<Value> = serde_json::from_slice(&bytes)
        .map_err(|error| BadBody(StatusCode::BAD_REQUEST, "undecodable", format!("expected a JSON array of spans: {error}")))?;
    Ok(judge(kept, values, bytes.len()))
}

fn judge(kept: Duration, values: Vec<Value>, bytes: usize) -> Decoded {
    let now_us = now_ms() * 1000;
    let oldest_us = now_us.saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
    let mut counts = Counts::default();
    counts.add(DOOR, SIGNAL, "received", values.len() as u64);
    counts.add(DOOR, SIGNAL, "bytes", bytes as u64);
    let mut refused: BTreeMap<Reason, u64> = BTreeMap::new();
    let mut first_refusal = None;
    let mut spans = Vec::with_capacity(values.len());
    for value in values {
        match decode(value, now_us, oldest_us) {
            Ok(span) => spans.push(span),
            Err(reason) => {
                *refused.entry(reason).or_default() += 1;
                first_refusal.get_or_insert(reason);
            }
        }
    }
    for (reason, count) in refused {
        counts.refuse(DOOR, SIGNAL, reason, count);
    }
    (spans, counts, first_refusal)
}

async fn read(body: Body) -> Result<Bytes, BadBody> {
    let Ok(collected) = tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await else {
        let message = format!("the body did not arrive within {} s", BODY_TIME_MAX.as_secs());
        return Err(BadBody(StatusCode::REQUEST_TIMEOUT, "slow_body", message));
    };
    collected.map(|collected| collected.to_bytes()).map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => too_large(),
        Err(error) => BadBody(StatusCode::BAD_REQUEST, "broken_off", format!("the body broke off: {error}")),
    })
}

fn unzip(bytes: &[u8]) -> Result<Bytes, BadBody> {
    let mut out = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(BODY_BYTES_MAX as u64 + 1);
    reader
        .read_to_end(&mut out)
        .map_err(|error| BadBody(StatusCode::BAD_REQUEST, "undecodable", format!("the body is no gzip: {error}")))?;
    if out.len() > BODY_BYTES_MAX { Err(too_large()) } else { Ok(out.into()) }
}

fn too_large() -> BadBody {
    let message = format!("a body may have {BODY_BYTES_MAX} bytes; send fewer spans at a time");
    BadBody(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}
