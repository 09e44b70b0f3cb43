//! The one envelope in which every refused request is answered.

use serde::{Deserialize, Serialize};
use sidelight_mesh::finding::Finding;

/// Body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ApiError,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiError {
    pub kind: ErrorKind,
    /// One sentence: what was wrong, where, and what to do.
    pub message: String,
    /// Present when a configuration object was refused: every reason with its place in the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// The closed list of reasons; each stands for one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// 400: the request cannot be read.
    BadRequest,
    /// 401: no session, or a wrong token.
    Unauthorized,
    /// 403: the session may not do this.
    Forbidden,
    /// 404
    NotFound,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 409: the object changed underneath; load it again.
    Conflict,
    /// 413
    TooLarge,
    /// 422: the configuration has errors, listed in `findings`.
    Invalid,
    /// 429
    TooMany,
    /// 503: try again later (the store is behind or away).
    Unavailable,
    /// 500
    Internal,
}

impl ErrorKind {
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Invalid => 422,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}
