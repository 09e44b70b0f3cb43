//! Who is looking.

use serde::{Deserialize, Serialize};

/// Answer of `GET /api/session`, which needs no login.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub auth: AuthMode,
    pub logged_in: bool,
    pub user: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    None,
    Token,
}

/// Body of `POST /api/login`; the answer sets the session's cookie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginRequest {
    pub token: String,
}
