//! The one way in which a request is refused: an HTTP status and the JSON envelope.

use std::any::Any;

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sidelight_api::error::{ApiError, ErrorBody, ErrorKind};

use crate::causes::with_causes;
use crate::query::params::ParamError;
use crate::store::StoreError;
use crate::store::revisions::RevisionError;

/// A refusal. Its `Display` is what the client reads; causes go to the log.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: ErrorKind,
    pub message: String,
}

impl Refusal {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = ApiError { kind: self.kind, message: self.message, findings: Vec::new() };
        (status, Json(ErrorBody { error })).into_response()
    }
}

impl From<ParamError> for Refusal {
    fn from(error: ParamError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = with_causes(&error), "the store did not answer");
        Self::new(ErrorKind::Unavailable, "the store did not answer; try again")
    }
}

impl From<RevisionError> for Refusal {
    fn from(error: RevisionError) -> Self {
        tracing::warn!(error = with_causes(&error), "the configuration history did not answer");
        Self::new(ErrorKind::Unavailable, "the configuration history did not answer; try again")
    }
}

/// A computation that ran on the blocking pool and did not come back.
impl From<tokio::task::JoinError> for Refusal {
    fn from(error: tokio::task::JoinError) -> Self {
        tracing::error!(%error, "a computation ended early");
        Self::new(ErrorKind::Internal, "the answer could not be computed; the log knows why")
    }
}

/// Answer to a path under `/api` that does not exist.
pub fn no_such_route(uri: &Uri) -> Refusal {
    Refusal::not_found(format!("there is no `{}` here", uri.path()))
}

/// Answer to a method that a path does not know.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    Refusal::new(ErrorKind::MethodNotAllowed, format!("`{}` does not answer to {method}", uri.path()))
}

/// Answer when a handler panicked.
// The signature is tower-http's.
#[allow(clippy::needless_pass_by_value)]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(message, "a request handler panicked");
    Refusal::new(ErrorKind::Internal, "something went wrong inside; the log knows what").into_response()
}
