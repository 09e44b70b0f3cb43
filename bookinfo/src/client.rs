//! Calls from one service to another: a pooled HTTP/1.1 client, straight to the callee or through an HTTP proxy.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// Largest answer that a service reads from another; beyond it the call fails.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Idle connections kept per callee.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// An idle connection is closed after this long, before the usual idle timeouts of proxies do it in mid-request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where calls go out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// Straight to the callee's name and port.
    #[default]
    Direct,
    /// Every call to this `host:port`, with the whole URL in the request line.
    Proxy(String),
}

impl Route {
    /// Reads `http://host:port`, `host:port` or nothing, the forms that `HTTP_PROXY` takes.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Self, BadProxy> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::Direct);
        }
        let authority = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        match authority.parse::<http::uri::Authority>() {
            Ok(a) if a.port().is_some() => Ok(Self::Proxy(authority.to_owned())),
            _ => Err(BadProxy(text.to_owned())),
        }
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an HTTP proxy's address; write http://HOST:PORT")]
pub struct BadProxy(String);

/// A whole answer, body included.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("failed to connect")]
    Connect(#[source] hyper_util::client::legacy::Error),
    #[error("failed to exchange")]
    Exchange(#[source] hyper_util::client::legacy::Error),
    #[error("failed to read the answer")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("failed to build the request")]
    Request(#[from] http::Error),
}

impl CallError {
    /// A word for counting.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Connect(_) => "connect",
            Self::Exchange(_) => "exchange",
            Self::Body(_) => "body",
            Self::TooLarge => "too_large",
            Self::Request(_) => "request",
        }
    }
}

/// Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct HttpClient {
    inner: Client<Connector, Full<Bytes>>,
}

impl HttpClient {
    #[must_use]
    pub fn new(route: Route) -> Self {
        let inner = Client::builder(TokioExecutor::new())
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(Connector { route });
        Self { inner }
    }

    /// GET, at most `timeout` from connecting to the last byte.
    ///
    /// # Errors
    /// There was no whole answer; any status is an answer.
    pub async fn get(&self, uri: Uri, headers: HeaderMap, timeout: Duration) -> Result<Answer, CallError> {
        self.send(Method::GET, uri, headers, Bytes::new(), timeout).await
    }

    /// As [`HttpClient::get`] for any method and body.
    ///
    /// # Errors
    /// There was no whole answer; any status is an answer.
    pub async fn send(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(body))?;
        request.headers_mut().extend(headers);
        let exchange = self.exchange(request);
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(CallError::Timeout(timeout)))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let response = self
            .inner
            .request(request)
            .await
            .map_err(|error| if error.is_connect() { CallError::Connect(error) } else { CallError::Exchange(error) })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| if error.is::<LengthLimitError>() { CallError::TooLarge } else { CallError::Body(error) })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

#[derive(Clone)]
struct Connector {
    route: Route,
}

type Connecting = Pin<Box<dyn Future<Output = std::io::Result<Stream>> + Send>>;

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = std::io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let (address, proxied) = match &self.route {
            Route::Proxy(address) => (address.clone(), true),
            Route::Direct => (direct_address(&uri), false),
        };
        Box::pin(async move {
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&address))
                .await
                .map_err(|_| std::io::ErrorKind::TimedOut)??;
            stream.set_nodelay(true)?;
            Ok(Stream { inner: TokioIo::new(stream), proxied })
        })
    }
}

fn direct_address(uri: &Uri) -> String {
    format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80))
}

/// A connection that tells the client whether a proxy is at its other end, which decides the form of the request line.
struct Stream {
    inner: TokioIo<TcpStream>,
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn proxy_addresses_are_read_as_in_http_proxy() {
        assert_eq!(Route::parse("http://127.1.0.11:15001"), Ok(Route::Proxy("127.1.0.11:15001".into())));
        assert_eq!(Route::parse("localhost:15001/"), Ok(Route::Proxy("localhost:15001".into())));
        assert_eq!(Route::parse(" "), Ok(Route::Direct));
        assert!(Route::parse("https://a:1").is_err());
        assert!(Route::parse("somewhere").is_err());
    }
}
