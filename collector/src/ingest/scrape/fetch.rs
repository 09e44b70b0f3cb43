//! Fetches the text of one scrape, within its limits.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Bytes of one scrape, after decompression. A busy Envoy with all its statistics has a few million.
pub const SCRAPE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Idle connections that are kept to one target.
const IDLE_PER_TARGET_MAX: usize = 1;
/// Only the text format is offered: a proxy that is offered protobuf answers with it.
const ACCEPT: &str = "text/plain;version=0.0.4,text/plain;q=0.5";

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
    #[error("answered with more than {SCRAPE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("answered with something that is not UTF-8 text")]
    NotText,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

#[derive(Clone)]
pub struct Fetcher {
    client: Client<HttpConnector, Empty<Bytes>>,
    timeout: Duration,
}

impl Fetcher {
    pub fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(timeout));
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IDLE_PER_TARGET_MAX).build(connector);
        Self { client, timeout }
    }

    pub async fn fetch(&self, url: &str) -> Result<String, FetchError> {
        match tokio::time::timeout(self.timeout, self.fetch_slowly(url)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Timeout(self.timeout)),
        }
    }

    async fn fetch_slowly(&self, url: &str) -> Result<String, FetchError> {
        let request = Request::get(url)
            .header(header::ACCEPT, ACCEPT)
            .header(header::USER_AGENT, concat!("Sidelight/", env!("CARGO_PKG_VERSION")))
            .header("x-prometheus-scrape-timeout-seconds", format!("{}", self.timeout.as_secs_f64()))
            .body(Empty::new())
            .map_err(|_| FetchError::Url(url.to_owned()))?;
        let response = self.client.request(request).await.map_err(FetchError::Connect)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let is_gzip = response.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
        let body = Limited::new(response.into_body(), SCRAPE_BYTES_MAX).collect().await;
        let bytes = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => FetchError::TooLarge,
            Err(error) => FetchError::Body(error),
        })?;
        let bytes: Vec<u8> = bytes.to_bytes().into();
        let bytes = if is_gzip { unzip(&bytes)? } else { bytes };
        String::from_utf8(bytes).map_err(|_| FetchError::NotText)
    }
}

fn unzip(bytes: &[u8]) -> Result<Vec<u8>, FetchError> {
    let mut out = Vec::new();
    let limit = SCRAPE_BYTES_MAX as u64 + 1;
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(limit);
    reader.read_to_end(&mut out).map_err(|error| FetchError::Body(error.into()))?;
    if out.len() > SCRAPE_BYTES_MAX { Err(FetchError::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::Router;
    use axum::routing::get;

    use super::*;

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    async fn serve() -> String {
        let gzip = [("content-encoding", "gzip")];
        let router = Router::new()
            .route("/good", get(|| async { "a 1\n" }))
            .route("/zipped", get(move || async move { (gzip, zipped(b"a 1\n")) }))
            .route("/bomb", get(move || async move { (gzip, zipped(&vec![b' '; SCRAPE_BYTES_MAX + 1])) }))
            .route("/large", get(|| async { vec![b' '; SCRAPE_BYTES_MAX + 1] }))
            .route("/binary", get(|| async { vec![0xff, 0xfe] }))
            .route("/never", get(std::future::pending::<String>));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn answers_are_taken_within_their_limits() {
        let (base, fetcher) = (serve().await, Fetcher::new(Duration::from_secs(30)));
        let fetch = async |path: &str| fetcher.fetch(&format!("{base}{path}")).await;
        assert_eq!(fetch("/good").await.unwrap(), "a 1\n");
        assert_eq!(fetch("/zipped").await.unwrap(), "a 1\n");
        assert!(matches!(fetch("/large").await, Err(FetchError::TooLarge)));
        assert!(matches!(fetch("/bomb").await, Err(FetchError::TooLarge)));
        assert!(matches!(fetch("/binary").await, Err(FetchError::NotText)));
        assert!(matches!(fetch("/missing").await, Err(FetchError::Status(StatusCode::NOT_FOUND))));
        assert!(matches!(fetcher.fetch("not a url").await, Err(FetchError::Url(_))));
        let hasty = Fetcher::new(Duration::from_millis(50));
        assert!(matches!(hasty.fetch(&format!("{base}/never")).await, Err(FetchError::Timeout(_))));
    }
}
