//! What a request shows to be let in: a user and a password, or a token; from the configuration or from a file.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;

/// Bytes of a file with a password or a token.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Text(String),
    /// Read anew for each request, so that it can be changed at any time.
    File(PathBuf),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    #[default]
    None,
    Basic {
        username: String,
        password: Secret,
    },
    /// `Bearer` mostly.
    Scheme {
        scheme: String,
        credentials: Secret,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("failed to read the credentials in {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("the credentials in {} are no text of less than {SECRET_BYTES_MAX} bytes", .0.display())]
    NotText(PathBuf),
    #[error("the credentials hold characters that a header cannot have")]
    Header,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("<secret>"),
            Self::File(path) => write!(f, "<secret in {}>", path.display()),
        }
    }
}

impl Secret {
    pub async fn read(&self) -> Result<String, CredentialError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => read_file(path).await,
        }
    }
}

async fn read_file(path: &Path) -> Result<String, CredentialError> {
    let failed = |error| CredentialError::Read(path.to_owned(), error);
    if tokio::fs::metadata(path).await.map_err(failed)?.len() > SECRET_BYTES_MAX {
        return Err(CredentialError::NotText(path.to_owned()));
    }
    let bytes = tokio::fs::read(path).await.map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| CredentialError::NotText(path.to_owned()))?;
    Ok(text.trim().to_owned())
}

impl Authorization {
    /// Value of the header `Authorization`.
    pub async fn header(&self) -> Result<Option<HeaderValue>, CredentialError> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.read().await?)))
            }
            Self::Scheme { scheme, credentials } => format!("{scheme} {}", credentials.read().await?),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| CredentialError::Header)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}
