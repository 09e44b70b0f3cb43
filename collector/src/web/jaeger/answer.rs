//! Answers and errors in the envelopes of Jaeger's two APIs.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::causes::with_causes;
use crate::query::jaeger::search::BadQuestion;
use crate::store::StoreError;

/// Why there is no answer; what the caller reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub message: String,
}

impl Problem {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub fn trace_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "trace not found")
    }

    pub fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many questions are being answered; try again")
    }
}

impl From<BadQuestion> for Problem {
    fn from(error: BadQuestion) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = with_causes(&error), "the store did not answer a question about traces");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store did not answer; try again")
    }
}

/// A computation on the blocking pool that did not come back.
impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        tracing::error!(%error, "an answer about traces ended early");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be computed; the log knows why")
    }
}

/// The classic API's: `{"data":…,"total":0,"limit":0,"offset":0,"errors":null}`.
#[derive(Debug, Serialize)]
pub struct Envelope<T> {
    data: T,
    total: usize,
    limit: usize,
    offset: usize,
    errors: Option<Vec<EnvelopeError>>,
}

#[derive(Debug, Serialize)]
pub struct EnvelopeError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    pub msg: String,
    #[serde(rename = "traceID", skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl<T> Envelope<T> {
    pub fn new(data: T) -> Self {
        Self { data, total: 0, limit: 0, offset: 0, errors: None }
    }

    /// With the number of items that there are.
    pub fn total(self, total: usize) -> Self {
        Self { total, ..self }
    }

    /// With an empty list of errors, where others have none.
    pub fn no_errors(self) -> Self {
        Self { errors: Some(Vec::new()), ..self }
    }

    /// With what was not found.
    pub fn errors(self, errors: Vec<EnvelopeError>) -> Self {
        Self { errors: Some(errors).filter(|errors| !errors.is_empty()), ..self }
    }
}

impl<T: Serialize> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = EnvelopeError { code: Some(self.status.as_u16()), msg: self.message, trace_id: None };
        (self.status, Envelope::new(None::<()>).errors(vec![error])).into_response()
    }
}

/// A problem in the shape of API v3.
pub struct V3Problem(pub Problem);

impl<E: Into<Problem>> From<E> for V3Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for V3Problem {
    fn into_response(self) -> Response {
        let Problem { status, message } = self.0;
        (status, Json(json!({"error": {"httpCode": status.as_u16(), "message": message}}))).into_response()
    }
}

pub async fn no_such_endpoint(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no endpoint {}", uri.path()))
}
