//! What a backend's answer means: delivered, to be tried again, or refused for good. The rules are OTLP's.

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use time::OffsetDateTime;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::client::{Delivery, SendError};
use super::destination::Protocol;
use super::retry::retry_after;
use crate::causes::with_causes;

/// Characters of a backend's message that are kept.
const MESSAGE_CHARS_MAX: usize = 300;

pub(super) fn of_grpc(result: Result<ExportTraceServiceResponse, Status>) -> Result<Delivery, SendError> {
    match result {
        Ok(response) => Ok(delivery(response)),
        Err(status) => Err(grpc_error(&status)),
    }
}

fn grpc_error(status: &Status) -> SendError {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let source = std::error::Error::source(status);
    let what = match source {
        // The connection broke: the message is the client's own, and its causes say more.
        Some(source) => chain(source),
        None => format!("gRPC status {:?}: {}", status.code(), short(status.message())),
    };
    let is_retryable = match status.code() {
        Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::OutOfRange | Code::Unavailable | Code::DataLoss => true,
        // Without a hint the limit is one that waiting does not lift.
        Code::ResourceExhausted => asked.is_some(),
        // A broken connection comes as this from the client's own side.
        Code::Unknown => source.is_some(),
        _ => false,
    };
    if is_retryable { SendError::Retry { what, asked } } else { SendError::Refused { what } }
}

pub(super) fn of_http(protocol: Protocol, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Delivery, SendError> {
    if status.is_success() {
        return Ok(match protocol {
            // Some backends answer with nothing; a body that is no message does not undo the success.
            Protocol::OtlpGrpc | Protocol::OtlpHttp => ExportTraceServiceResponse::decode(body).map(delivery).unwrap_or_default(),
            Protocol::ZipkinJson => Delivery::default(),
        });
    }
    let what = format!("HTTP status {}: {}", status.as_u16(), short(&String::from_utf8_lossy(body)));
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Err(SendError::Retry { what, asked: asked.and_then(|value| retry_after(value, OffsetDateTime::now_utc())) })
        }
        _ => Err(SendError::Refused { what }),
    }
}

fn delivery(response: ExportTraceServiceResponse) -> Delivery {
    let partial = response.partial_success.unwrap_or_default();
    Delivery { refused: u64::try_from(partial.rejected_spans).unwrap_or(0), message: short(&partial.error_message) }
}

/// The whole chain of causes: "client error" alone says nothing.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    short(&with_causes(error))
}

/// In one line, without control characters: it goes to a log and to a page.
fn short(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use tonic_types::ErrorDetails;

    use super::*;

    fn retry(what: &str, asked: Option<Duration>) -> Result<Delivery, SendError> {
        Err(SendError::Retry { what: what.to_owned(), asked })
    }

    fn refused(what: &str) -> Result<Delivery, SendError> {
        Err(SendError::Refused { what: what.to_owned() })
    }

    #[test]
    fn grpc_codes_are_told_apart() {
        let answer = |code, message: &str| of_grpc(Err(Status::new(code, message)));
        assert_eq!(answer(Code::Unavailable, "down"), retry("gRPC status Unavailable: down", None));
        assert_eq!(answer(Code::ResourceExhausted, "quota"), refused("gRPC status ResourceExhausted: quota"));
        assert_eq!(answer(Code::InvalidArgument, "bad\nspan"), refused("gRPC status InvalidArgument: bad span"));
        let wait = Duration::from_secs(3);
        let details = ErrorDetails::with_retry_info(Some(wait));
        let exhausted = Status::with_error_details(Code::ResourceExhausted, "slow", details);
        assert_eq!(of_grpc(Err(exhausted)), retry("gRPC status ResourceExhausted: slow", Some(wait)));
    }

    #[test]
    fn http_codes_are_told_apart() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("9"));
        let answer = |code: u16| of_http(Protocol::OtlpHttp, StatusCode::from_u16(code).unwrap(), &headers, b"no");
        for code in [429, 502, 503, 504] {
            assert_eq!(answer(code), retry(&format!("HTTP status {code}: no"), Some(Duration::from_secs(9))));
        }
        for code in [302, 400, 401, 404, 413, 500] {
            assert_eq!(answer(code), refused(&format!("HTTP status {code}: no")));
        }
    }

    #[test]
    fn a_partial_success_is_counted() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) };
        let expected = Delivery { refused: 3, message: "too old".to_owned() };
        let body = response.encode_to_vec();
        assert_eq!(of_http(Protocol::OtlpHttp, StatusCode::OK, &HeaderMap::new(), &body), Ok(expected.clone()));
        assert_eq!(of_grpc(Ok(response)), Ok(expected));
        assert_eq!(of_http(Protocol::ZipkinJson, StatusCode::ACCEPTED, &HeaderMap::new(), b"{}"), Ok(Delivery::default()));
        assert_eq!(of_http(Protocol::OtlpHttp, StatusCode::OK, &HeaderMap::new(), b"{}"), Ok(Delivery::default()));
    }
}
