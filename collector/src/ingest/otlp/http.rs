//! OTLP over HTTP: the same exports as protobuf or JSON, answered in the encoding of the request.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use prost::Message;
use serde_json::json;

use super::{INLINE_BYTES_MAX, OtlpDoor, Partial, Signal, json};
use crate::ingest::door::{Attempt, Encoding, Refusal, require_token};

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

impl Signal {
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
            Self::Logs => "rejectedLogRecords",
        }
    }
}

pub(super) fn routes(door: &OtlpDoor) -> Router {
    Signal::ALL.into_iter().fold(Router::new(), |routes, signal| {
        let (mine, guard) = (door.clone(), door.guard(signal, refuse));
        let method = post(move |request: Request| export(mine, signal, request));
        routes.route(signal.path(), method.layer(from_fn_with_state(guard, require_token)))
    })
}

async fn export(door: OtlpDoor, signal: Signal, request: Request) -> Response {
    let format = Format::of(request.headers());
    match serve(&door, signal, format, request).await {
        Ok(partial) => answer(&partial, signal, format.unwrap_or(Format::Protobuf)),
        Err(refusal) => say_no(&refusal, format.unwrap_or(Format::Json)),
    }
}

async fn serve(door: &OtlpDoor, signal: Signal, format: Option<Format>, request: Request) -> Result<Partial, Refusal> {
    let mut attempt = door.door.attempt(signal.name())?;
    match read(&mut attempt, signal, format, request).await {
        Ok(message) => door.take(attempt, signal, message).await,
        Err(refusal) => Err(attempt.refuse(refusal)),
    }
}

/// The export as protobuf, whatever it came as.
async fn read(attempt: &mut Attempt, signal: Signal, format: Option<Format>, request: Request) -> Result<Bytes, Refusal> {
    let wrong_media = "send content-type application/x-protobuf or application/json";
    let format = format.ok_or_else(|| Refusal::unsupported_media(wrong_media))?;
    let encoding = Encoding::of(request.headers())?;
    let bytes = attempt.read(encoding, request.into_body()).await?.bytes;
    match format {
        Format::Protobuf => Ok(bytes),
        Format::Json if bytes.len() <= INLINE_BYTES_MAX => json::to_protobuf(signal, &bytes),
        Format::Json => attempt.elsewhere(move || json::to_protobuf(signal, &bytes)).await?,
    }
}

impl Format {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let media = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match media.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn media(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

fn answer(partial: &Partial, signal: Signal, format: Format) -> Response {
    let body = match format {
        Format::Protobuf => partial.to_protobuf(),
        Format::Json if *partial == Partial::default() => b"{}".to_vec(),
        Format::Json => {
            // 64-bit numbers are texts in OTLP's JSON.
            let rejected = partial.rejected.to_string();
            let partial = json!({signal.rejected(): rejected, "errorMessage": partial.message});
            json!({"partialSuccess": partial}).to_string().into_bytes()
        }
    };
    ([(header::CONTENT_TYPE, format.media())], body).into_response()
}

/// A `google.rpc.Status`, as the specification asks for.
fn say_no(refusal: &Refusal, format: Format) -> Response {
    let status = refusal.rpc_status();
    let body = match format {
        Format::Protobuf => status.encode_to_vec(),
        Format::Json => json!({"code": status.code, "message": status.message}).to_string().into_bytes(),
    };
    refusal.over_http(([(header::CONTENT_TYPE, format.media())], body))
}

fn refuse(request: &Request, refusal: Refusal) -> Response {
    say_no(&refusal, Format::of(request.headers()).unwrap_or(Format::Json))
}
