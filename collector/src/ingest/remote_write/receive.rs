//! `POST /api/v1/write`: decode, judge each sample, and answer 204 only when all of them are durable.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::RemoteWriteDoor;
use super::decode::{Version, decode};
use crate::clock::now_ms;
use crate::ingest::door::{Attempt, Encoding, Refusal, Times};
use crate::pipeline::{SampleAnswer, SamplePush};
use crate::store::Delivery;

pub(super) const SIGNAL: &str = "samples";
/// Written counts of version 2.0.
const WRITTEN: [&str; 3] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

impl Version {
    /// By the content type; version 1.0 is the one without a `proto`.
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let wrong = || {
            Refusal::unsupported_media(
                "send content-type application/x-protobuf with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request",
            )
        };
        let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or_else(wrong)?;
        let mut words = text.split(';').map(str::trim);
        if !words.next().is_some_and(|media| media.eq_ignore_ascii_case("application/x-protobuf")) {
            return Err(wrong());
        }
        let proto = words.find_map(|word| word.strip_prefix("proto=")).map(|proto| proto.trim_matches('"'));
        match proto {
            None | Some("prometheus.WriteRequest") => Ok(Self::One),
            Some("io.prometheus.write.v2.Request") => Ok(Self::Two),
            Some(_) => Err(wrong()),
        }
    }
}

pub(super) async fn write(State(door): State<RemoteWriteDoor>, request: Request) -> Response {
    let version = Version::of(request.headers()).unwrap_or(Version::One);
    match receive(&door, request).await {
        Ok(answer) => answered(version, &answer),
        Err(refusal) => refused(version, &refusal),
    }
}

async fn receive(door: &RemoteWriteDoor, request: Request) -> Result<SampleAnswer, Refusal> {
    let mut attempt = door.door.attempt(SIGNAL)?;
    match read(&mut attempt, request).await {
        Ok((version, body)) => take(door, attempt, version, body).await,
        Err(refusal) => Err(attempt.refuse(refusal)),
    }
}

async fn read(attempt: &mut Attempt, request: Request) -> Result<(Version, Bytes), Refusal> {
    let version = Version::of(request.headers())?;
    if Encoding::of(request.headers())? != Encoding::Snappy {
        return Err(Refusal::unsupported_encoding("remote write is compressed with content-encoding snappy"));
    }
    Ok((version, attempt.read(Encoding::Snappy, request.into_body()).await?.bytes))
}

async fn take(door: &RemoteWriteDoor, attempt: Attempt, version: Version, body: Bytes) -> Result<SampleAnswer, Refusal> {
    let (bytes, delivery) = (body.len(), Delivery::new(door.door.name(), &body));
    match push(door, &attempt, version, body).await {
        Ok(push) => attempt.store_samples(push, bytes, delivery).await,
        Err(refusal) => Err(attempt.refuse(refusal)),
    }
}

async fn push(door: &RemoteWriteDoor, attempt: &Attempt, version: Version, body: Bytes) -> Result<SamplePush, Refusal> {
    let push = attempt.sample_push(&*door.store, Times::new(now_ms(), door.kept)).await?;
    attempt.elsewhere(move || decode(version, &body, push)).await?
}

/// What was not taken would be refused again: 400 says so, and the rest is durable all the same.
fn answered(version: Version, answer: &SampleAnswer) -> Response {
    let mut response = if answer.refused.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let reasons: Vec<String> = answer.refused.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let message = format!("{} samples were written, others refused: {}\n", answer.kept, reasons.join(", "));
        (StatusCode::BAD_REQUEST, message).into_response()
    };
    tell_written(version, &mut response, [answer.kept, 0, answer.exemplars]);
    response
}

fn refused(version: Version, refusal: &Refusal) -> Response {
    let mut response = refusal.over_http(format!("{refusal}\n"));
    tell_written(version, &mut response, [0; 3]);
    response
}

fn tell_written(version: Version, response: &mut Response, written: [u64; 3]) {
    if version == Version::Two {
        for (name, count) in WRITTEN.into_iter().zip(written) {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
        }
    }
}
