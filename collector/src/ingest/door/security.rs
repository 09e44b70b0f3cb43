//! Who may come in: bearer tokens and TLS, read anew when their files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio_util::sync::CancellationToken;

use super::{Door, DoorMetrics, Refusal, Tls, TlsError, TlsFiles};
use crate::web::auth::Token;

/// How often files are looked at. Their contents are compared: mounted secrets are swapped by links.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A shorter token can be guessed.
pub const TOKEN_CHARS_MIN: usize = 16;
/// Tokens of one door: the old, the new, and some to spare.
pub const TOKENS_MAX: usize = 64;

/// What the settings say.
#[derive(Clone, Debug, Default)]
pub struct SecuritySettings {
    pub tls: Option<TlsFiles>,
    /// Any of them opens.
    pub tokens: Vec<Token>,
    /// Further tokens, one a line; read again when the file changes.
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("failed to read the tokens in {path}")]
    ReadTokens {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} has a token that is shorter than {TOKEN_CHARS_MIN} characters")]
    ShortToken { path: PathBuf },
    #[error("{path} must hold 1 to {TOKENS_MAX} tokens, one a line")]
    TokenCount { path: PathBuf },
}

/// Tokens that open a door. Neither `Debug` nor a log line shows them.
#[derive(Debug)]
pub struct BearerTokens {
    fixed: Vec<Token>,
    file: Option<PathBuf>,
    read: ArcSwap<Vec<Token>>,
}

/// What guards one door or several. Cheap to clone; clones change together.
#[derive(Clone, Debug, Default)]
pub struct DoorSecurity {
    pub tls: Option<Arc<Tls>>,
    pub tokens: Option<Arc<BearerTokens>>,
}

impl DoorSecurity {
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub fn load(settings: &SecuritySettings) -> Result<Self, SecurityError> {
        let tls = settings.tls.clone().map(Tls::load).transpose()?;
        let has_tokens = !settings.tokens.is_empty() || settings.token_file.is_some();
        let tokens = has_tokens.then(|| BearerTokens::load(settings.tokens.clone(), settings.token_file.clone())).transpose()?;
        Ok(Self { tls: tls.map(Arc::new), tokens: tokens.map(Arc::new) })
    }

    /// Whether there is anything that could change.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.tls.is_some() || self.tokens.as_ref().is_some_and(|tokens| tokens.file.is_some())
    }

    /// Takes changed files over until `stop`. What cannot be used is told, and what was there before stays in force.
    pub async fn follow_files(self, metrics: DoorMetrics, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            let this = self.clone();
            // Reading files and signing keys is nothing for a thread that serves requests.
            let looked = tokio::task::spawn_blocking(move || this.reload()).await;
            for outcome in looked.unwrap_or_default() {
                metrics.reloaded(outcome.is_ok());
                match outcome {
                    Ok(what) => tracing::info!("took {what} over"),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "changed credentials cannot be used; those from before stay in force");
                    }
                }
            }
        }
    }

    /// Reads changed files now; one answer for each that changed.
    pub fn reload(&self) -> Vec<Result<&'static str, SecurityError>> {
        let tls = self.tls.as_ref().and_then(|tls| tls.reload()).map(|done| done.map_err(SecurityError::from));
        let tokens = self.tokens.as_ref().and_then(|tokens| tokens.reload());
        let tls = tls.map(|done| done.map(|()| "a new certificate"));
        tls.into_iter().chain(tokens.map(|done| done.map(|()| "new tokens"))).collect()
    }

    /// Whether a request with these headers may come in.
    ///
    /// # Errors
    /// When it has no token that opens.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match &self.tokens {
            Some(tokens) if !tokens.open(headers) => Err(Refusal::unauthenticated()),
            Some(_) | None => Ok(()),
        }
    }
}

impl BearerTokens {
    fn load(fixed: Vec<Token>, file: Option<PathBuf>) -> Result<Self, SecurityError> {
        let read = file.as_deref().map(read_tokens).transpose()?.unwrap_or_default();
        Ok(Self { fixed, file, read: ArcSwap::from_pointee(read) })
    }

    fn reload(&self) -> Option<Result<(), SecurityError>> {
        let read = match read_tokens(self.file.as_deref()?) {
            Ok(read) => read,
            Err(error) => return Some(Err(error)),
        };
        if **self.read.load() == read {
            return None;
        }
        self.read.store(Arc::new(read));
        Some(Ok(()))
    }

    fn open(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, given) = value.split_once(' ').unwrap_or_default();
        // Every token is compared, in constant time, so that the time does not tell how many there are or which it was.
        let read = self.read.load();
        let opens = self.fixed.iter().chain(read.iter()).fold(false, |opens, token| token.matches(given.trim()) | opens);
        opens & scheme.eq_ignore_ascii_case("bearer")
    }
}

fn read_tokens(path: &Path) -> Result<Vec<Token>, SecurityError> {
    let text = std::fs::read_to_string(path).map_err(|source| SecurityError::ReadTokens { path: path.to_owned(), source })?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if lines.iter().any(|line| line.len() < TOKEN_CHARS_MIN) {
        return Err(SecurityError::ShortToken { path: path.to_owned() });
    }
    if lines.is_empty() || lines.len() > TOKENS_MAX {
        return Err(SecurityError::TokenCount { path: path.to_owned() });
    }
    Ok(lines.into_iter().map(Token::new).collect())
}

/// What [`require_token`] needs: the guard, whose counts, and how the protocol says no.
#[derive(Clone)]
pub struct Guard {
    pub security: DoorSecurity,
    pub door: Door,
    pub signal: &'static str,
    pub answer: fn(&Request, Refusal) -> Response,
}

/// Refuses requests without a token that opens, before a byte of their body is read.
pub async fn require_token(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.security.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            guard.door.count_refusal(guard.signal, &refusal);
            (guard.answer)(&request, refusal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn any_token_opens_and_nothing_else_does() {
        let tokens = vec![Token::new("first-first-first"), Token::new("second-second-second")];
        let security = DoorSecurity::load(&SecuritySettings { tokens, ..SecuritySettings::default() }).unwrap();
        for good in ["Bearer first-first-first", "bearer second-second-second"] {
            assert_eq!(security.check(&headers(good)), Ok(()), "{good}");
        }
        for bad in ["", "Bearer ", "Bearer first", "Basic first-first-first", "first-first-first"] {
            assert_eq!(security.check(&headers(bad)).unwrap_err().reason, "unauthenticated", "{bad}");
        }
        assert!(security.check(&HeaderMap::new()).is_err());
        assert_eq!(DoorSecurity::default().check(&HeaderMap::new()), Ok(()));
        assert!(!format!("{security:?}").contains("first"), "no token in a log");
    }

    #[test]
    fn tokens_are_changed_by_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "# senders\nold-old-old-old-old\n").unwrap();
        let settings = SecuritySettings { token_file: Some(path.clone()), ..SecuritySettings::default() };
        let security = DoorSecurity::load(&settings).unwrap();
        assert!(security.reload().is_empty(), "nothing changed");
        std::fs::write(&path, "new-new-new-new-new\n").unwrap();
        assert_eq!(security.reload().len(), 1);
        assert!(security.check(&headers("Bearer old-old-old-old-old")).is_err());
        assert!(security.check(&headers("Bearer new-new-new-new-new")).is_ok());
        std::fs::write(&path, "short\n").unwrap();
        assert!(matches!(security.reload().as_slice(), [Err(SecurityError::ShortToken { .. })]));
        assert!(security.check(&headers("Bearer new-new-new-new-new")).is_ok(), "the old ones stay in force");
    }
}
