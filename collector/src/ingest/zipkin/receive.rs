//! `POST /api/v2/spans` and `/api/v1/spans`: decode, judge each span, and answer 202 only when what was taken is durable.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use bytes::Bytes;

use super::draft::Judge;
use super::json::{self, V2};
use super::v1::V1;
use super::{Refused, ZipkinDoor, proto};
use crate::clock::now_ms;
use crate::ingest::door::{Attempt, Encoding, Judged, Refusal, Times};
use crate::pipeline::SpanRequest;
use crate::store::{Delivery, Span};

pub(super) const SIGNAL: &str = "spans";

/// Bodies up to this size are decoded where they are; larger ones would hold up everybody else on the thread.
const INLINE_BYTES_MAX: usize = 32 * 1024;

/// How spans are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    V1,
    V2,
    Protobuf,
}

pub(super) async fn v1(State(door): State<ZipkinDoor>, request: Request) -> Result<StatusCode, Refused> {
    receive(&door, Format::V1, request).await
}

pub(super) async fn v2(State(door): State<ZipkinDoor>, request: Request) -> Result<StatusCode, Refused> {
    receive(&door, Format::V2, request).await
}

async fn receive(door: &ZipkinDoor, json: Format, request: Request) -> Result<StatusCode, Refused> {
    let mut attempt = door.door.attempt(SIGNAL)?;
    match read(&mut attempt, json, request).await {
        Ok((format, bytes)) => take(door, attempt, format, bytes).await,
        Err(refusal) => Err(attempt.refuse(refusal).into()),
    }
}

/// The body, and how its spans are written; `json` is the path's spelling of them.
async fn read(attempt: &mut Attempt, json: Format, request: Request) -> Result<(Format, Bytes), Refusal> {
    let headers = request.headers();
    let media = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"));
    let format = match media.map(|media| media.split(';').next().unwrap_or_default().trim()) {
        // Zipkin's servers take what names no type, and curl's type of forms, for JSON.
        None | Some("application/json" | "text/plain" | "application/x-www-form-urlencoded") => json,
        Some("application/x-protobuf" | "application/protobuf") if json == Format::V2 => Format::Protobuf,
        Some(other) => {
            let message =
                format!("`{other}` is not taken here: send application/json, or application/x-protobuf to /api/v2/spans");
            return Err(Refusal::unsupported_media(message));
        }
    };
    let encoding = Encoding::of(headers)?;
    Ok((format, attempt.read(encoding, request.into_body()).await?.bytes))
}

async fn take(door: &ZipkinDoor, attempt: Attempt, format: Format, body: Bytes) -> Result<StatusCode, Refused> {
    let (length, delivery) = (body.len(), Delivery::new(door.door.name(), &body));
    let judged = match decode_body(door, &attempt, format, body).await {
        Ok(judged) => judged,
        Err(refusal) => return Err(attempt.refuse(refusal).into()),
    };
    let attempt = attempt.admit(judged.received())?;
    let nothing_taken = (judged.items.is_empty() && judged.received() > 0).then(|| judged.reasons());
    door.door.cut(judged.cut);
    let counts = judged.counts(door.door.name(), SIGNAL, length);
    let request = SpanRequest { door: door.door.name(), spans: judged.items, counts, delivery };
    attempt.store(door.door.intake().spans(request)).await?;
    match nothing_taken {
        Some(reasons) => Err(Refused::new(StatusCode::BAD_REQUEST, format!("no span was taken: {reasons}"))),
        None => Ok(StatusCode::ACCEPTED),
    }
}

async fn decode_body(door: &ZipkinDoor, attempt: &Attempt, format: Format, body: Bytes) -> Result<Judged<Span>, Refusal> {
    let (interners, times) = (Arc::clone(&door.interners), Times::new(now_ms(), door.kept));
    let items_max = door.door.limits().items;
    let is_small = body.len() <= INLINE_BYTES_MAX;
    let decode = move || interners.with(|interner| decode(format, &body, Judge::new(interner, times, items_max)));
    if is_small { decode() } else { attempt.elsewhere(decode).await? }
}

fn decode(format: Format, body: &[u8], mut judge: Judge<'_>) -> Result<Judged<Span>, Refusal> {
    let mut judged = match format {
        Format::V1 => json::decode::<V1>(body, &mut judge),
        Format::V2 => json::decode::<V2>(body, &mut judge),
        Format::Protobuf => proto::decode(body, &mut judge),
    }?;
    judged.cut = judge.cut;
    Ok(judged)
}
