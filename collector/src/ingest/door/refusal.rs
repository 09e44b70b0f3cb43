//! Why a request was refused, said once and answered in the manner of every protocol.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};

use crate::pipeline::WriteError;

/// Why items were refused; the words are the reasons of `GET /api/ingest`, a closed set.
pub type Reason = &'static str;

/// Wait that is asked for where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What kind of answer a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The same request will never do.
    Malformed,
    TooLarge,
    UnsupportedEncoding,
    UnsupportedMedia,
    Slow,
    Unauthenticated,
    /// The client sends more than it may.
    RateLimited,
    /// Too much waits already.
    Busy,
    /// The store is away, or the collector is ending.
    Unavailable,
    Unimplemented,
    Internal,
}

/// A request that was refused as a whole. `message` is for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: Kind,
    pub reason: Reason,
    pub message: String,
    /// When to try again; nothing where the same request would be refused again.
    pub retry_after: Option<Duration>,
}

/// `google.rpc.Status`, the body of refusals in OTLP over HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl Refusal {
    fn new(kind: Kind, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, reason, message: message.into(), retry_after: None }
    }

    fn retryable(kind: Kind, reason: Reason, message: impl Into<String>) -> Self {
        Self { retry_after: Some(RETRY_AFTER), ..Self::new(kind, reason, message) }
    }

    pub fn undecodable(message: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, "undecodable", message)
    }

    pub fn broken_off(message: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, "broken_off", message)
    }

    /// Every item was refused, for a reason of its own.
    pub fn nothing_taken(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, reason, message)
    }

    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(Kind::TooLarge, "body_too_large", format!("a body may have {limit} bytes; send fewer items at a time"))
    }

    #[must_use]
    pub fn too_many_items(limit: usize) -> Self {
        Self::new(Kind::TooLarge, "too_many_items", format!("a request may have {limit} items"))
    }

    pub fn unsupported_encoding(message: impl Into<String>) -> Self {
        Self::new(Kind::UnsupportedEncoding, "unsupported_encoding", message)
    }

    pub fn unsupported_media(message: impl Into<String>) -> Self {
        Self::new(Kind::UnsupportedMedia, "unsupported_encoding", message)
    }

    #[must_use]
    pub fn slow_body(limit: Duration) -> Self {
        Self::retryable(Kind::Slow, "slow_body", format!("the body did not arrive within {} s", limit.as_secs()))
    }

    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(Kind::Unauthenticated, "unauthenticated", "this door asks for a token: `authorization: Bearer …`")
    }

    #[must_use]
    pub fn rate_limited(wait: Duration) -> Self {
        let message = "more comes in than this door takes; try again later";
        Self { retry_after: Some(wait), ..Self::new(Kind::RateLimited, "rate_limited", message) }
    }

    pub fn busy(message: impl Into<String>) -> Self {
        Self::retryable(Kind::Busy, "busy", message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::retryable(Kind::Unavailable, "unavailable", message)
    }

    pub fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(Kind::Unimplemented, "unimplemented", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, "internal", message)
    }

    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        match self.kind {
            Kind::Malformed => StatusCode::BAD_REQUEST,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::UnsupportedEncoding | Kind::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Slow => StatusCode::REQUEST_TIMEOUT,
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Kind::Busy | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Chosen so that clients of OTLP retry exactly what has a chance: they never retry `RESOURCE_EXHAUSTED` without
    /// a `RetryInfo`, and always retry `OUT_OF_RANGE`.
    #[must_use]
    pub fn grpc_code(&self) -> Code {
        match self.kind {
            Kind::Malformed | Kind::UnsupportedMedia => Code::InvalidArgument,
            Kind::TooLarge | Kind::RateLimited => Code::ResourceExhausted,
            Kind::UnsupportedEncoding | Kind::Unimplemented => Code::Unimplemented,
            Kind::Slow => Code::DeadlineExceeded,
            Kind::Unauthenticated => Code::Unauthenticated,
            Kind::Busy | Kind::Unavailable => Code::Unavailable,
            Kind::Internal => Code::Internal,
        }
    }

    /// Whole seconds for `Retry-After`, at least one.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs_f64().ceil().max(1.0) as u64)
    }

    /// An answer over HTTP with this body, and with the headers that tell when to try again and what proves who one is.
    pub fn over_http(&self, body: impl IntoResponse) -> Response {
        let mut response = (self.http_status(), body).into_response();
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.kind == Kind::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    #[must_use]
    pub fn rpc_status(&self) -> RpcStatus {
        RpcStatus { code: self.grpc_code() as i32, message: self.message.clone(), details: self.details() }
    }

    fn details(&self) -> Vec<Any> {
        let Some(wait) = self.retry_after else { return Vec::new() };
        let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        let retry_delay = Some(prost_types::Duration { seconds, nanos: i32::try_from(wait.subsec_nanos()).unwrap_or(0) });
        vec![Any { type_url: RETRY_INFO.to_owned(), value: RetryInfo { retry_delay }.encode_to_vec() }]
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Busy => Self::busy("too much waits to be written; try again"),
            WriteError::Closed => Self::unavailable(error.to_string()),
            WriteError::Encode(source) => {
                tracing::error!(error = &source as &dyn std::error::Error, "a request could not be made into a block");
                Self::internal("the request could not be stored; the log knows why")
            }
            // The writer tells of an outage, once and not for each request.
            WriteError::Store(source) if source.is_outage() => Self::unavailable("the database takes no writes now; try again"),
            WriteError::Store(source) => {
                tracing::warn!(error = &*source as &dyn std::error::Error, "a request was not stored");
                Self::unavailable("the database did not take the request; try again")
            }
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal.retry_after {
            Some(_) => {
                let details = refusal.rpc_status().encode_to_vec();
                Self::with_details(refusal.grpc_code(), refusal.message, details.into())
            }
            None => Self::new(refusal.grpc_code(), refusal.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_says_when() {
        let refusal = Refusal::rate_limited(Duration::from_millis(2500));
        assert_eq!((refusal.http_status().as_u16(), refusal.retry_after_s()), (429, Some(3)));
        let response = refusal.over_http("wait");
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &HeaderValue::from(3)));
        let status = Status::from(refusal);
        assert_eq!(status.code(), Code::ResourceExhausted);
        let details = RpcStatus::decode(status.details()).unwrap().details;
        assert_eq!(details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
        let wait = RetryInfo::decode(&*details[0].value).unwrap().retry_delay.unwrap();
        assert_eq!((wait.seconds, wait.nanos), (2, 500_000_000));
    }

    #[test]
    fn what_will_never_do_does_not() {
        let status = Status::from(Refusal::body_too_large(5));
        assert_eq!((status.code(), status.details().len()), (Code::ResourceExhausted, 0));
        assert_eq!(Refusal::undecodable("x").retry_after_s(), None);
        assert!(!Refusal::undecodable("x").over_http("no").headers().contains_key("retry-after"));
        assert_eq!(Refusal::unauthenticated().over_http("no").headers()["www-authenticate"], "Bearer");
    }
}
