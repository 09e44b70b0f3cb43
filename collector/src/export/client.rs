//! Sends one request to a backend and says what became of it.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;

use super::connection::{Connector, RootsError};
use super::destination::{Destination, Protocol};
use super::response;

/// Time that a backend has for one request, connecting included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that wait for the next request: requests go one after another.
const IDLE_MAX: usize = 1;
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where to and how.
#[derive(Clone)]
pub struct ClientSettings {
    pub destination: Destination,
    /// Sent with every request; may hold secrets.
    pub headers: HeaderMap,
    /// Certificate authorities (PEM) to trust instead of the public ones.
    pub roots: Option<PathBuf>,
    pub gzip: bool,
}

impl std::fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        write!(f, "{:?}, headers {names:?}, roots {:?}, gzip {}", self.destination, self.roots, self.gzip)
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot export to {destination}")]
pub struct ClientError {
    destination: Box<Destination>,
    #[source]
    source: RootsError,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Message {
    Otlp(ExportTraceServiceRequest),
    /// JSON.
    Zipkin(Vec<u8>),
}

/// The backend took the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Spans of it that the backend refused.
    pub refused: u64,
    /// Why, or a warning.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// May succeed later; not before `asked` has passed.
    #[error("{what}")]
    Retry { what: String, asked: Option<Duration> },
    /// Will never succeed.
    #[error("{what}")]
    Refused { what: String },
}

/// Speaks to one backend.
pub struct Client {
    settings: ClientSettings,
    wire: Wire,
}

enum Wire {
    Grpc(TraceServiceClient<HttpClient<Connector, tonic::body::Body>>),
    Http(HttpClient<Connector, Full<Bytes>>),
}

impl Client {
    /// Connects later, when there is something to send.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        let is_grpc = settings.destination.protocol == Protocol::OtlpGrpc;
        let connector = if settings.destination.is_tls() {
            Connector::tls(settings.roots.as_deref(), is_grpc)
                .map_err(|source| ClientError { destination: Box::new(settings.destination.clone()), source })?
        } else {
            Connector::plain()
        };
        let mut builder = HttpClient::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_max_idle_per_host(IDLE_MAX);
        let wire = if is_grpc {
            let http = builder.http2_only(true).build(connector);
            let client = TraceServiceClient::with_origin(http, settings.destination.uri.clone());
            Wire::Grpc(if settings.gzip { client.send_compressed(CompressionEncoding::Gzip) } else { client })
        } else {
            Wire::Http(builder.build(connector))
        };
        Ok(Self { settings, wire })
    }

    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.settings.destination
    }

    pub async fn send(&self, message: Message) -> Result<Delivery, SendError> {
        match tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(message)).await {
            Ok(result) => result,
            Err(_) => Err(SendError::Retry { what: format!("no answer within {REQUEST_TIMEOUT:?}"), asked: None }),
        }
    }

    async fn exchange(&self, message: Message) -> Result<Delivery, SendError> {
        match (&self.wire, message) {
            (Wire::Grpc(client), Message::Otlp(message)) => {
                let metadata = MetadataMap::from_headers(self.settings.headers.clone());
                let request = tonic::Request::from_parts(metadata, http::Extensions::default(), message);
                response::of_grpc(client.clone().export(request).await.map(tonic::Response::into_inner))
            }
            (Wire::Http(client), Message::Otlp(message)) => {
                self.post(client, "application/x-protobuf", message.encode_to_vec()).await
            }
            (Wire::Http(client), Message::Zipkin(json)) => self.post(client, "application/json", json).await,
            (Wire::Grpc(_), Message::Zipkin(_)) => {
                Err(SendError::Refused { what: "Zipkin's JSON is not sent over gRPC".to_owned() })
            }
        }
    }

    async fn post(
        &self,
        client: &HttpClient<Connector, Full<Bytes>>,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Delivery, SendError> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.settings.destination.uri.clone();
        let headers = request.headers_mut();
        headers.extend(self.settings.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        *request.body_mut() = Full::new(if self.settings.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            gzip(&body).into()
        } else {
            body.into()
        });
        let response =
            client.request(request).await.map_err(|error| SendError::Retry { what: response::chain(&error), asked: None })?;
        let (parts, body) = response.into_parts();
        // An answer that ends early still has a status that says what became of the request.
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        response::of_http(self.settings.destination.protocol, parts.status, &parts.headers, &body)
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}
