//! What stands behind and before Envoy: applications, a receiver of spans, and a client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Whoever listens on this port of a loopback network has the network to itself.
const LOCK_PORT: u16 = 15_999;

pub type Empty = http_body_util::Empty<bytes::Bytes>;

/// An address of this test program's own: two runs on one machine must not meet on the standard ports.
pub fn ip(host: &str) -> String {
    static NETWORK: OnceLock<(u8, std::net::TcpListener)> = OnceLock::new();
    let (network, _lock) = NETWORK.get_or_init(|| {
        let mut free =
            (100..=200).filter_map(|n| Some((n, std::net::TcpListener::bind((format!("127.{n}.0.1"), LOCK_PORT)).ok()?)));
        free.next().expect("a free loopback network")
    });
    format!("127.{network}.{host}")
}

/// An application that answers everything with its name.
pub struct Upstream(AbortHandle);

impl Drop for Upstream {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Upstream {
    pub async fn start(host: &str, name: &'static str) -> Self {
        let listener = TcpListener::bind((ip(host), 9080)).await.unwrap();
        let router = Router::new().fallback(move || async move { name });
        Self(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle())
    }
}

/// Counts the lists of spans that arrive.
pub struct SpanCounter {
    pub address: SocketAddr,
    count: Arc<AtomicUsize>,
}

impl SpanCounter {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let receive = move |body: axum::Json<serde_json::Value>| async move {
            counter.fetch_add(body.as_array().map_or(0, Vec::len), Ordering::Relaxed);
            axum::http::StatusCode::ACCEPTED
        };
        let router = Router::new().route("/api/v2/spans", axum::routing::post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, count }
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

pub async fn connect(place: &str) -> SendRequest<Empty> {
    try_connect(place).await.unwrap()
}

pub async fn try_connect(place: &str) -> Option<SendRequest<Empty>> {
    let stream = TcpStream::connect(place).await.ok()?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

/// Status and body. A full address is sent as to an HTTP proxy.
pub async fn get(connection: &mut SendRequest<Empty>, uri: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let authority = uri.parse::<hyper::Uri>().unwrap().authority().map_or("test".to_owned(), ToString::to_string);
    let mut request = Request::get(uri).header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    connection.ready().await.unwrap();
    let response = connection.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
