//! Why a request about configuration was refused, and how that is told to the caller.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sidelight_api::error::{ApiError, ErrorBody, ErrorKind};
use sidelight_mesh::finding::{Finding, Severity};

use crate::store::revisions::RevisionError;

#[derive(Debug, thiserror::Error)]
pub(in crate::control) enum ConfigError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("the request is larger than {limit} bytes; send fewer objects at a time")]
    TooLarge { limit: usize },
    #[error("{0}")]
    TooMany(String),
    #[error("{}", summary(.0))]
    Invalid(Vec<Finding>),
    #[error("the store is away; try again")]
    Store(#[source] RevisionError),
}

impl From<RevisionError> for ConfigError {
    fn from(error: RevisionError) -> Self {
        match error {
            RevisionError::Conflict { .. } => Self::Conflict(format!("{error}; load it again and repeat the change")),
            RevisionError::NotFound { .. } => Self::NotFound(error.to_string()),
            RevisionError::Database { .. } | RevisionError::Corrupt { .. } => Self::Store(error),
        }
    }
}

impl ConfigError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::BadRequest(_) => ErrorKind::BadRequest,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::TooMany(_) => ErrorKind::TooMany,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Store(RevisionError::Corrupt { .. }) => ErrorKind::Internal,
            Self::Store(_) => ErrorKind::Unavailable,
        }
    }
}

impl IntoResponse for ConfigError {
    fn into_response(self) -> Response {
        let kind = self.kind();
        let message = self.to_string();
        if let Self::Store(source) = &self {
            tracing::error!(error = source as &dyn std::error::Error, "a configuration request failed");
        }
        let findings = match self {
            Self::Invalid(findings) => findings,
            _ => Vec::new(),
        };
        let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorBody { error: ApiError { kind, message, findings } })).into_response()
    }
}

/// One sentence: how many errors, and the first of them with its line.
fn summary(findings: &[Finding]) -> String {
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    match &errors[..] {
        [] => "the configuration was refused".to_owned(),
        [only] => format!("line {}: {}", only.line, only.message),
        [first, ..] => format!("{} errors; the first in line {}: {}", errors.len(), first.line, first.message),
    }
}
