//! Talks to a collector's JSON API for the client verbs.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sidelight_api::error::{ApiError, ErrorBody, ErrorKind};

use crate::cli::ServerArgs;
use crate::exit::Exit;

/// Largest answer that is read; a graph of a big mesh has a few megabytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Names who makes a change; a collector believes it only where nobody logs in.
const AUTHOR: HeaderName = HeaderName::from_static("x-sidelight-author");
const TIMEOUT: Duration = Duration::from_secs(30);

/// A collector's API.
#[derive(Clone)]
pub struct ApiClient {
    http: Client<HttpConnector, Full<Bytes>>,
    base: String,
    token: Option<String>,
    author: Option<HeaderValue>,
}

/// What went wrong with one call.
#[derive(Debug)]
pub enum CallError {
    /// The collector said no, with its reason.
    Refused(ApiError),
    /// There was no answer, or none that can be read.
    Broken(anyhow::Error),
}

impl From<CallError> for Exit {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Broken(error) => Self::Failed(error),
            CallError::Refused(error) if error.kind == ErrorKind::Unauthorized => {
                Self::Failed(anyhow!("{}; give a token with --token or SIDELIGHT_TOKEN", error.message))
            }
            CallError::Refused(error) => Self::Failed(anyhow!(error.message)),
        }
    }
}

impl ApiClient {
    /// # Errors
    /// The address is not an `http://` URL.
    pub fn new(server: &ServerArgs) -> Result<Self, Exit> {
        let wrong = |why: &str| Exit::settings(format!("--server `{}` {why}", server.server));
        let uri: Uri = server.server.parse().map_err(|_| wrong("is not a URL"))?;
        match uri.scheme_str() {
            Some("http") if uri.host().is_some() => {}
            Some("https") => return Err(wrong("speaks TLS, which this client does not yet; use http:// through a tunnel")),
            _ => return Err(wrong("must begin with http://")),
        }
        let http = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let base = server.server.trim_end_matches('/').to_owned();
        let author = std::env::var("USER").ok().and_then(|user| HeaderValue::from_str(&user).ok());
        Ok(Self { http, base, token: server.token.clone(), author })
    }

    /// Changes are made in this name.
    #[must_use]
    pub fn with_author(mut self, author: &'static str) -> Self {
        self.author = Some(HeaderValue::from_static(author));
        self
    }

    /// # Errors
    /// Refused, or no answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// # Errors
    /// Refused, or no answer.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| CallError::Broken(error.into()))?;
        self.call(Method::POST, path, body.into()).await
    }

    /// # Errors
    /// Refused, or no answer.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::DELETE, path, Bytes::new()).await
    }

    /// Status and body, whatever they are.
    ///
    /// # Errors
    /// No answer.
    pub async fn raw(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), CallError> {
        let exchange = async {
            let response = self
                .http
                .request(self.request(method, path, body)?)
                .await
                .with_context(|| format!("no answer from {}; is the collector running, and is --server right", self.base))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow!("cannot read the answer of {}: {error}", self.base))?;
            Ok((status, body.to_bytes()))
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(answer) => answer.map_err(CallError::Broken),
            Err(_) => Err(CallError::Broken(anyhow!("no answer from {} within {TIMEOUT:?}", self.base))),
        }
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, CallError> {
        let (status, body) = self.raw(method, path, body).await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let body = if body.is_empty() { &b"null"[..] } else { &body };
        serde_json::from_slice(body)
            .with_context(|| format!("{}{path} answered something else than expected; is it a Sidelight collector", self.base))
            .map_err(CallError::Broken)
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(author) = &self.author {
            request = request.header(AUTHOR, author);
        }
        request.body(Full::new(body)).context("cannot build the request")
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> CallError {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => CallError::Refused(body.error),
        Err(_) => CallError::Broken(anyhow!("the server answered {status}; is it a Sidelight collector")),
    }
}

/// A text as one segment of a path or one value of a query.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        assert_eq!(encode("reviews-v1.a"), "reviews-v1.a");
        assert_eq!(encode("a/b c?"), "a%2Fb%20c%3F");
    }

    #[test]
    fn only_http_addresses_are_taken() {
        let client = |server: &str| ApiClient::new(&ServerArgs { server: server.into(), token: None });
        assert!(client("http://127.0.0.1:20001/").is_ok());
        assert!(matches!(client("https://a"), Err(Exit::Settings(_))));
        assert!(matches!(client("127.0.0.1:20001"), Err(Exit::Settings(_))));
    }
}
