//! Reads the parts of a request, answering what cannot be read in the API's own envelope.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use sidelight_mesh::config::ObjectKey;

use super::BODY_BYTES_MAX;
use crate::control::config::{ConfigError, path_key};
use crate::control::{Author, Inner};

/// Header that names the author where nobody logs in.
const AUTHOR_HEADER: &str = "x-sidelight-author";

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Inner>> for Body<T> {
    type Rejection = ConfigError;

    async fn from_request(request: Request, state: &Arc<Inner>) -> Result<Self, ConfigError> {
        let Json(value) = Json::<T>::from_request(request, state).await.map_err(refuse)?;
        Ok(Self(value))
    }
}

fn refuse(rejection: JsonRejection) -> ConfigError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ConfigError::TooLarge { limit: BODY_BYTES_MAX };
    }
    ConfigError::BadRequest(rejection.body_text())
}

/// The object that a path names.
pub(super) struct Key(pub(super) ObjectKey);

impl FromRequestParts<Arc<Inner>> for Key {
    type Rejection = ConfigError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Inner>) -> Result<Self, ConfigError> {
        let names = Path::<std::collections::HashMap<String, String>>::from_request_parts(parts, state).await;
        let Path(mut names) = names.map_err(|rejection| ConfigError::BadRequest(rejection.body_text()))?;
        let mut take = |name| names.remove(name).unwrap_or_default();
        let kind = take("kind");
        path_key(&kind, take("namespace"), take("name")).map(Self)
    }
}

/// Whoever logged in; where nobody does, whoever the caller says it is.
pub(super) struct By(pub(super) Author);

impl FromRequestParts<Arc<Inner>> for By {
    type Rejection = ConfigError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Inner>) -> Result<Self, ConfigError> {
        if let Some(author) = parts.extensions.get::<Author>() {
            return Ok(Self(author.clone()));
        }
        let told = parts.headers.get(AUTHOR_HEADER).and_then(|value| value.to_str().ok());
        let believed = told.filter(|_| state.settings.trust_author_header).unwrap_or("anonymous");
        Ok(Self(Author(believed.to_owned())))
    }
}
