//! One gRPC call with one message each way, read through a door so that its limits, budget and counts hold.
//!
//! tonic reads and decodes in one step. Here the message is needed as bytes: it is read into spans without generated
//! types, its hash recognises a retry, and unpacking a large one belongs to another thread.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use tonic::Status;

use crate::ingest::door::{Attempt, BODY_TIME_MAX, Encoding, Refusal};

/// Flag and length before each message.
const PREFIX_BYTES: usize = 5;
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// What requests may be compressed with.
const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip,deflate,zstd");

/// Reads the one message of a call through a door.
///
/// # Errors
/// When the message is too large, slow, broken, or not what it says.
pub async fn read(attempt: &mut Attempt, request: Request) -> Result<Bytes, Refusal> {
    let (parts, body) = request.into_parts();
    check_media(&parts.headers)?;
    let encoding = encoding(&parts.headers)?;
    let (is_packed, message) = message(attempt.receive(body).await?)?;
    match (is_packed, encoding) {
        (false, _) => attempt.unpack(Encoding::Identity, message).await,
        // The specification wants an internal error, but the client is the one to blame.
        (true, None) => Err(Refusal::undecodable("the message is flagged as compressed, and no grpc-encoding says how")),
        (true, Some(encoding)) => attempt.unpack(encoding, message).await,
    }
}

/// Reads the one message of a call that carries no telemetry.
///
/// # Errors
/// As [`read`].
pub async fn read_small(request: Request, limit: usize) -> Result<Bytes, Refusal> {
    check_media(request.headers())?;
    let collected = tokio::time::timeout(BODY_TIME_MAX, Limited::new(request.into_body(), limit).collect());
    let collected = collected.await.map_err(|_| Refusal::slow_body(BODY_TIME_MAX))?;
    let (is_packed, message) = message(collected.map_err(|_| Refusal::body_too_large(limit))?.to_bytes())?;
    if is_packed { Err(Refusal::unsupported_encoding("send this message uncompressed")) } else { Ok(message) }
}

/// Whether the call is gRPC with protobuf, as far as its headers say.
fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) {
        Some(b"application/grpc" | b"application/grpc+proto") => Ok(()),
        _ => Err(Refusal::unsupported_media("this port takes gRPC: send content-type application/grpc")),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Refusal> {
    let Some(value) = headers.get(GRPC_ENCODING) else { return Ok(None) };
    let name = value.to_str().unwrap_or("unreadable");
    match Encoding::named(name) {
        Some(Encoding::Identity) => Ok(None),
        Some(encoding @ (Encoding::Gzip | Encoding::Deflate | Encoding::Zstd)) => Ok(Some(encoding)),
        Some(Encoding::Snappy) | None => {
            Err(Refusal::unsupported_encoding(format!("grpc-encoding `{name}` is not known; use gzip, deflate or zstd")))
        }
    }
}

/// Takes the prefix away: whether the message is compressed, and the message.
fn message(mut body: Bytes) -> Result<(bool, Bytes), Refusal> {
    if body.is_empty() {
        return Err(Refusal::broken_off("the call ended without a message"));
    }
    if body.len() < PREFIX_BYTES {
        return Err(Refusal::broken_off("the call ended in the middle of a message"));
    }
    let prefix = body.split_to(PREFIX_BYTES);
    let is_packed = match prefix[0] {
        0 => false,
        1 => true,
        other => return Err(Refusal::undecodable(format!("{other} is no compression flag of gRPC"))),
    };
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    match body.len() {
        have if have < length => Err(Refusal::broken_off("the call ended in the middle of a message")),
        have if have > length => Err(Refusal::undecodable("the call has more than its one message")),
        _ => Ok((is_packed, body)),
    }
}

/// A message and the status that all went well.
#[must_use]
pub fn answer(message: &[u8]) -> Response {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let headers = [(header::CONTENT_TYPE, GRPC), (GRPC_ACCEPT_ENCODING, ACCEPTED)];
    (headers, Body::new(body)).into_response()
}

/// A status alone.
#[must_use]
pub fn refuse(refusal: Refusal) -> Response {
    let mut response = Status::from(refusal).into_http::<Body>();
    response.headers_mut().insert(GRPC_ACCEPT_ENCODING, ACCEPTED);
    response
}

/// To whoever does not speak gRPC.
#[must_use]
pub fn not_grpc() -> Response {
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "this port takes gRPC; OTLP over HTTP has a port of its own\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_out_of_its_frame() {
        let framed = |bytes: &'static [u8]| message(Bytes::from_static(bytes));
        assert_eq!(framed(b"\x00\x00\x00\x00\x02hi").unwrap(), (false, Bytes::from_static(b"hi")));
        assert_eq!(framed(b"\x01\x00\x00\x00\x00").unwrap(), (true, Bytes::new()));
        assert_eq!(framed(b"").unwrap_err().reason, "broken_off");
        assert_eq!(framed(b"\x00\x00\x00").unwrap_err().reason, "broken_off");
        assert_eq!(framed(b"\x00\x00\x00\x00\x05hi").unwrap_err().reason, "broken_off");
        assert_eq!(framed(b"\x00\x00\x00\x00\x01hi").unwrap_err().reason, "undecodable");
        assert_eq!(framed(b"\x07\x00\x00\x00\x02hi").unwrap_err().reason, "undecodable");
        assert_eq!(framed(b"\x00\xff\xff\xff\xffhi").unwrap_err().reason, "broken_off");
    }

    #[tokio::test]
    async fn an_answer_ends_with_its_status() {
        let response = answer(b"hi");
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(&*collected.to_bytes(), b"\x00\x00\x00\x00\x02hi");
        let refused = refuse(Refusal::busy("try again"));
        assert_eq!((&refused.headers()["grpc-status"], refused.status()), (&HeaderValue::from_static("14"), StatusCode::OK));
        assert!(refused.headers().contains_key("grpc-status-details-bin"), "it carries a RetryInfo");
    }
}
