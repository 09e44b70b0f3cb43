//! The HTTP client of scraping and of discovery: TLS, credentials, redirects, limits.

mod credentials;
mod tls;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

pub use credentials::{Authorization, CredentialError, Secret};
use tls::Connector;
pub use tls::{Pem, TlsError, TlsSettings};

/// Idle connections that are kept to one target.
const IDLE_PER_TARGET_MAX: usize = 1;
/// Bytes of the answer to a body that was sent; what it says beyond is of no use.
const POST_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Redirects that one request follows, as many as Prometheus.
const REDIRECTS_MAX: usize = 10;
/// Longest wait for a connection; the whole request has a shorter limit of its own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How a job or a discovery asks.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    pub tls: TlsSettings,
    pub authorization: Authorization,
    pub follow_redirects: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("`{0}` is no URL to scrape")]
    Url(String),
    #[error("no answer")]
    Connect(#[source] hyper_util::client::legacy::Error),
    #[error("the answer broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("answered with status {0}")]
    Status(StatusCode),
    #[error("answered with more than {0} bytes")]
    TooLarge(usize),
    #[error("answered with something that is not UTF-8 text")]
    NotText,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("redirected more than {REDIRECTS_MAX} times")]
    Redirects,
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("{0}")]
    Refused(Arc<str>),
}

/// Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    authorization: Arc<Authorization>,
    follow_redirects: bool,
}

/// What was answered, within its limit.
#[derive(Debug)]
pub struct Answer {
    pub text: String,
    pub content_type: String,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("authorization", &self.authorization).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Without credentials; https is checked against the system's roots.
    #[must_use]
    pub fn plain() -> Self {
        Self::over(Connector::plain(CONNECT_TIMEOUT), Authorization::None, true)
    }

    /// Reads certificates and keys now, passwords and tokens whenever they are needed.
    pub fn new(settings: HttpSettings) -> Result<Self, TlsError> {
        let connector = Connector::new(&settings.tls, CONNECT_TIMEOUT)?;
        Ok(Self::over(connector, settings.authorization, settings.follow_redirects))
    }

    fn over(connector: Connector, authorization: Authorization, follow_redirects: bool) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IDLE_PER_TARGET_MAX).build(connector);
        Self { client, authorization: Arc::new(authorization), follow_redirects }
    }

    /// The text at a URL, whole and unzipped, within a time and a size.
    pub async fn text(&self, url: &str, headers: HeaderMap, limit: usize, timeout: Duration) -> Result<Answer, FetchError> {
        let fetch = async { read(self.open(url, headers).await?, limit).await };
        tokio::time::timeout(timeout, fetch).await.unwrap_or(Err(FetchError::Timeout(timeout)))
    }

    /// Sends a body; tells the status and the headers of the answer.
    pub async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(StatusCode, HeaderMap), FetchError> {
        let mut request = Request::post(url).body(Full::new(body)).map_err(|_| FetchError::Url(url.to_owned()))?;
        request.headers_mut().extend(headers);
        let agent = HeaderValue::from_static(concat!("Sidelight/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        if let Some(value) = self.authorization.header().await? {
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let send = async {
            let response = self.client.request(request).await.map_err(FetchError::Connect)?;
            let (status, headers) = (response.status(), response.headers().clone());
            // Read to its end, so that the connection can be used again.
            let _ = Limited::new(response.into_body(), POST_ANSWER_BYTES_MAX).collect().await;
            Ok((status, headers))
        };
        tokio::time::timeout(timeout, send).await.unwrap_or(Err(FetchError::Timeout(timeout)))
    }

    /// The answer at a URL, its body not read yet.
    pub async fn open(&self, url: &str, headers: HeaderMap) -> Result<Response<Incoming>, FetchError> {
        let response = self.get(url, headers).await?;
        if response.status() == StatusCode::OK { Ok(response) } else { Err(FetchError::Status(response.status())) }
    }

    /// The answer at a URL, whatever its status, its body not read yet.
    pub async fn get(&self, url: &str, headers: HeaderMap) -> Result<Response<Incoming>, FetchError> {
        let no_url = || FetchError::Url(url.to_owned());
        let origin: Uri = url.parse().map_err(|_| no_url())?;
        let mut at = origin.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = Request::get(at.clone()).body(Full::default()).map_err(|_| no_url())?;
            request.headers_mut().extend(headers.clone());
            request
                .headers_mut()
                .insert(header::USER_AGENT, HeaderValue::from_static(concat!("Sidelight/", env!("CARGO_PKG_VERSION"))));
            // Another host gets no credentials of this one, and nobody those that were meant for TLS without it.
            let is_origin = at.authority() == origin.authority() && (at.scheme() == origin.scheme() || is_tls(&at));
            if is_origin && let Some(value) = self.authorization.header().await? {
                request.headers_mut().insert(header::AUTHORIZATION, value);
            }
            let response = self.client.request(request).await.map_err(FetchError::Connect)?;
            match redirected(&at, &response).filter(|_| self.follow_redirects) {
                Some(next) => at = next,
                None => return Ok(response),
            }
        }
        Err(FetchError::Redirects)
    }
}

fn is_tls(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

fn redirected(from: &Uri, response: &Response<Incoming>) -> Option<Uri> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let place: Uri = location.parse().ok()?;
    if place.scheme().is_some() {
        return Some(place);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = place.into_parts().path_and_query;
    Uri::from_parts(parts).ok()
}

/// The body of an answer as text, whole and unzipped.
pub async fn read(response: Response<Incoming>, limit: usize) -> Result<Answer, FetchError> {
    let name = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (encoding, content_type) = (name(header::CONTENT_ENCODING), name(header::CONTENT_TYPE));
    let body = Limited::new(response.into_body(), limit).collect().await;
    let bytes = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => FetchError::TooLarge(limit),
        Err(error) => FetchError::Body(error),
    })?;
    let bytes: Vec<u8> = bytes.to_bytes().into();
    let bytes = if encoding.eq_ignore_ascii_case("gzip") { unzip(bytes, limit).await? } else { bytes };
    let text = String::from_utf8(bytes).map_err(|_| FetchError::NotText)?;
    Ok(Answer { text, content_type })
}

/// Away from the tasks that wait for sockets: megabytes take a while.
async fn unzip(bytes: Vec<u8>, limit: usize) -> Result<Vec<u8>, FetchError> {
    let unzipped = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(&*bytes).take(limit as u64 + 1).read_to_end(&mut out).map(|_| out)
    });
    let out = unzipped.await.map_err(|error| FetchError::Body(error.into()))?;
    let out = out.map_err(|error| FetchError::Body(error.into()))?;
    if out.len() > limit { Err(FetchError::TooLarge(limit)) } else { Ok(out) }
}

#[cfg(test)]
mod tests;
