//! A backend that spans are exported to: OTLP over gRPC and HTTP and Zipkin JSON on one port, with answers by script.

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use parking_lot::Mutex;
use prost::Message as _;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tonic::codec::CompressionEncoding;

/// What the next request is answered with; success when nothing is said.
#[derive(Clone, Debug)]
pub enum Answer {
    Http(StatusCode, HeaderMap),
    Grpc(tonic::Status),
    /// So many spans of it are refused.
    Partial(i64),
}

#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub headers: HeaderMap,
    pub body: Body,
    pub is_taken: bool,
}

#[derive(Clone, Debug)]
pub enum Body {
    Otlp(ExportTraceServiceRequest),
    Zipkin(Vec<serde_json::Value>),
}

#[derive(Clone, Default)]
struct Shared {
    script: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub struct Backend {
    pub address: SocketAddr,
    shared: Shared,
    server: JoinHandle<()>,
}

/// A certificate for 127.0.0.1 by an authority of its own.
pub struct Certificate {
    pub authority: PathBuf,
    acceptor: TlsAcceptor,
    _folder: tempfile::TempDir,
}

impl Certificate {
    pub fn new() -> Self {
        let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, signed.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_no_client_auth().with_single_cert(vec![signed.cert.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { authority, acceptor: TlsAcceptor::from(Arc::new(config)), _folder: folder }
    }
}

impl Backend {
    pub async fn start() -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), None).await
    }

    pub async fn start_tls(certificate: &Certificate) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), Some(certificate.acceptor.clone())).await
    }

    /// On a port that is known already.
    pub async fn start_at(address: SocketAddr) -> Self {
        Self::listen(address, None).await
    }

    async fn listen(address: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared::default();
        let grpc = TraceServiceServer::new(shared.clone()).accept_compressed(CompressionEncoding::Gzip);
        let router = Router::new()
            .route("/v1/traces", post(otlp))
            .route("/api/v2/spans", post(zipkin))
            .with_state(shared.clone())
            .route_service("/opentelemetry.proto.collector.trace.v1.TraceService/Export", grpc);
        Self { address, shared, server: tokio::spawn(serve(listener, tls, router)) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn answer_next(&self, answer: Answer) {
        self.shared.script.lock().push_back(answer);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().clone()
    }

    /// Ids of the spans that were taken, as hex and in order.
    pub fn taken(&self) -> Vec<String> {
        self.seen().iter().filter(|seen| seen.is_taken).flat_map(|seen| ids(&seen.body)).collect()
    }

    /// Closes the port and all connections.
    pub fn stop(self) {
        self.server.abort();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn ids(body: &Body) -> Vec<String> {
    match body {
        Body::Otlp(request) => {
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            scopes.flat_map(|scope| &scope.spans).map(|span| span.span_id.iter().map(|b| format!("{b:02x}")).collect()).collect()
        }
        Body::Zipkin(spans) => spans.iter().map(|span| span["id"].as_str().unwrap().to_owned()).collect(),
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, router) = (tls.clone(), router.clone());
        connections.spawn(async move {
            match tls {
                None => serve_connection(stream, router).await,
                Some(tls) => {
                    // A client that does not trust the certificate goes away.
                    if let Ok(stream) = tls.accept(stream).await {
                        serve_connection(stream, router).await;
                    }
                }
            }
        });
    }
}

async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = TowerToHyperService::new(router);
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    fn see(&self, headers: HeaderMap, body: Body) -> Option<Answer> {
        let answer = self.script.lock().pop_front();
        let is_taken = matches!(answer, None | Some(Answer::Partial(_)));
        self.seen.lock().push(Seen { at: Instant::now(), headers, body, is_taken });
        answer
    }
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let (metadata, _, message) = request.into_parts();
        match self.see(metadata.into_headers(), Body::Otlp(message)) {
            Some(Answer::Grpc(status)) => Err(status),
            Some(Answer::Http(..)) => panic!("an answer of HTTP to gRPC"),
            Some(Answer::Partial(refused)) => Ok(tonic::Response::new(partial(refused))),
            None => Ok(tonic::Response::new(ExportTraceServiceResponse::default())),
        }
    }
}

async fn otlp(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let message = ExportTraceServiceRequest::decode(&*unpack(&headers, &body)).unwrap();
    match shared.see(headers, Body::Otlp(message)) {
        Some(Answer::Http(status, headers)) => (status, headers, Vec::new()),
        Some(Answer::Partial(refused)) => (StatusCode::OK, HeaderMap::new(), partial(refused).encode_to_vec()),
        Some(Answer::Grpc(_)) => panic!("an answer of gRPC to HTTP"),
        None => (StatusCode::OK, HeaderMap::new(), Vec::new()),
    }
}

async fn zipkin(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let spans = serde_json::from_slice(&unpack(&headers, &body)).unwrap();
    match shared.see(headers, Body::Zipkin(spans)) {
        Some(Answer::Http(status, headers)) => (status, headers),
        _ => (StatusCode::ACCEPTED, HeaderMap::new()),
    }
}

fn partial(rejected_spans: i64) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }
}

fn unpack(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    if headers.get("content-encoding").is_none_or(|encoding| encoding != "gzip") {
        return body.to_vec();
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut unpacked).unwrap();
    unpacked
}
