//! Doors that speak TLS, to clients with a certificate.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rustls_pki_types::ServerName;
use sidelight_collector::Collector;
use sidelight_collector::ingest::door::{SecuritySettings, TlsFiles};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::spans::{export, span};
use crate::support::authority::Authority;
use crate::support::place::Place;
use crate::support::running::{accounted, eventually, settings};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Writes a new certificate of the door, and its key.
fn renew(authority: &Authority, folder: &Path) {
    let issued = authority.issue("doors.test");
    std::fs::write(folder.join("cert.pem"), issued.cert_pem).unwrap();
    std::fs::write(folder.join("key.pem"), issued.key_pem).unwrap();
}

fn client(authority: &Authority, issuer: Option<&Authority>, protocol: &[u8]) -> TlsConnector {
    TlsConnector::from(Arc::new(authority.client(issuer, protocol)))
}

async fn connect(connector: &TlsConnector, address: std::net::SocketAddr) -> Option<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    connector.connect(ServerName::try_from("doors.test").unwrap(), stream).await.ok()
}

/// The status of one export over gRPC; nothing when the door does not let the client in.
async fn export_over_grpc(connector: &TlsConnector, collector: &Collector, trace: u64) -> Option<String> {
    let address = collector.addresses().otlp_grpc.unwrap();
    let stream = TokioIo::new(connect(connector, address).await?);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.ok()?;
    tokio::spawn(connection);
    let message = export("cart", vec![span(trace, 1)]).encode_to_vec();
    let frame = [vec![0], (message.len() as u32).to_be_bytes().to_vec(), message].concat();
    let request = Request::post(format!("https://doors.test{EXPORT}")).header("content-type", "application/grpc");
    let response = sender.send_request(request.body(Full::new(Bytes::from(frame))).unwrap()).await.ok()?;
    let body = response.into_body().collect().await.ok()?;
    Some(body.trailers()?["grpc-status"].to_str().unwrap().to_owned())
}

async fn export_over_http(connector: &TlsConnector, collector: &Collector, trace: u64) -> StatusCode {
    let address = collector.addresses().otlp_http.unwrap();
    let stream = TokioIo::new(connect(connector, address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let body = Full::new(Bytes::from(export("cart", vec![span(trace, 1)]).encode_to_vec()));
    let request = Request::post("/v1/traces").header("host", "doors.test").header("content-type", "application/x-protobuf");
    sender.send_request(request.body(body).unwrap()).await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_with_a_certificate_come_in_and_certificates_change() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new(), Authority::new());
    renew(&first, folder.path());
    std::fs::write(folder.path().join("ca.pem"), first.pem()).unwrap();
    let file = |name: &str| folder.path().join(name);
    let tls = TlsFiles { cert: file("cert.pem"), key: file("key.pem"), client_ca: Some(file("ca.pem")) };
    let place = Place::sqlite();
    let mut settings = settings(&place);
    settings.doors.security = SecuritySettings { tls: Some(tls), ..SecuritySettings::default() };
    let collector = Collector::start(settings).await.unwrap();

    let known = client(&first, Some(&first), b"h2");
    assert_eq!(export_over_grpc(&known, &collector, 1).await.as_deref(), Some("0"));
    assert_eq!(export_over_http(&client(&first, Some(&first), b"http/1.1"), &collector, 2).await, StatusCode::OK);
    assert_eq!(export_over_grpc(&client(&first, None, b"h2"), &collector, 3).await, None);
    assert_eq!(export_over_grpc(&client(&first, Some(&second), b"h2"), &collector, 4).await, None);
    assert_eq!(export_over_grpc(&client(&second, Some(&first), b"h2"), &collector, 5).await, None, "not our server");
    eventually("failed handshakes are counted", async || {
        let text = collector.metrics().encode();
        text.contains("sidelight_door_tls_handshakes_total{door=\"otlp-grpc\",outcome=\"failed\"} 3")
    })
    .await;

    renew(&second, folder.path());
    let renewed = client(&second, Some(&first), b"h2");
    eventually("the new certificate is shown", async || export_over_grpc(&renewed, &collector, 6).await.as_deref() == Some("0"))
        .await;
    assert_eq!(accounted(&collector, "otlp-grpc", "spans").await, (2, 2, Vec::new()));
    assert_eq!(accounted(&collector, "otlp-http", "spans").await, (1, 1, Vec::new()));
    collector.shutdown().await;
}
