//! Input of the worst kind: each is answered as its protocol says and counted, and the next request is served.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::Value;
use sidelight_collector::Collector;
use sidelight_collector::ingest::door::RpcStatus;
use tokio::net::TcpStream;

use crate::spans::{Span, attribute, export, span};
use crate::support::place::Place;
use crate::support::running::{accounted, counts, eventually, get, send, settings};
use crate::{client, found, headers, packed};

const PROTOBUF: &str = "application/x-protobuf";
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

async fn http(collector: &Collector, media: &str, encoding: &str, body: Vec<u8>) -> (StatusCode, String) {
    send(collector.addresses().otlp_http.unwrap(), "POST", "/v1/traces", headers(media, encoding), body).await
}

/// A good export after all the bad ones.
async fn is_unharmed(collector: &Collector, trace: u64) {
    let spans = vec![span(trace, 1)];
    let trace_id = spans[0].trace_id.clone();
    client(collector).await.export(export("well", spans)).await.unwrap();
    assert_eq!(found(collector, &trace_id).await, 1);
}

fn refused(reasons: &[(&str, u64)]) -> Vec<(String, u64)> {
    reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_bodies_over_http() {
    let place = Place::sqlite();
    let collector = Collector::start(settings(&place)).await.unwrap();
    let good = export("cart", vec![span(1, 1), span(1, 2)]).encode_to_vec();
    let zeros = vec![0; 64 * 1024 * 1024];

    let (status, body) = http(&collector, "application/json", "identity", b"{\"resourceSpans\": 7}".to_vec()).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &Value::from(3)));
    let cut = good[..good.len() - 3].to_vec();
    let (status, body) = http(&collector, PROTOBUF, "identity", cut).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let told = RpcStatus::decode(body.as_bytes()).unwrap();
    assert_eq!((told.code, told.message.as_str()), (3, "expected an export of OTLP: the message is cut off"));

    assert_eq!(http(&collector, PROTOBUF, "identity", vec![0; 4 * 1024 * 1024 + 1]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for bomb in ["gzip", "zstd", "deflate"] {
        let body = packed(bomb, &zeros);
        assert!(body.len() < 1024 * 1024, "{bomb} is a bomb");
        assert_eq!(http(&collector, PROTOBUF, bomb, body).await.0, StatusCode::PAYLOAD_TOO_LARGE, "{bomb}");
    }
    assert_eq!(http(&collector, PROTOBUF, "gzip", good.clone()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(http(&collector, PROTOBUF, "br", good.clone()).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(http(&collector, "text/html", "identity", good.clone()).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let latin = b"{\"resourceSpans\": [{\"schemaUrl\": \"\xe9\"}]}".to_vec();
    assert_eq!(http(&collector, "application/json", "identity", latin).await.0, StatusCode::BAD_REQUEST);

    let reasons = refused(&[("body_too_large", 4), ("undecodable", 4), ("unsupported_encoding", 2)]);
    assert_eq!(accounted(&collector, "otlp-http", "spans").await, (10, 0, reasons));
    is_unharmed(&collector, 2).await;
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_spans_over_http() {
    let place = Place::sqlite();
    let collector = Collector::start(settings(&place)).await.unwrap();
    let changed = |id, change: fn(&mut Span)| {
        let mut span = span(1, id);
        change(&mut span);
        span
    };
    let spans = vec![
        changed(1, |span| span.start_time_unix_nano = 86_400_000_000_000),
        changed(2, |span| span.start_time_unix_nano = 4_102_444_800_000_000_000),
        changed(3, |span| span.attributes.push(attribute("huge", &"x".repeat(10_000_000)))),
        changed(4, |span| span.attributes = vec![attribute("one", "of many"); 300]),
        // Taken: it is its own parent, and two are each other's.
        changed(5, |span| span.parent_span_id = span.span_id.clone()),
        changed(6, |span| span.parent_span_id = 7_u64.to_be_bytes().to_vec()),
        changed(7, |span| span.parent_span_id = 6_u64.to_be_bytes().to_vec()),
    ];
    let trace_id = spans[0].trace_id.clone();
    let body = packed("gzip", &export("cart", spans).encode_to_vec());
    let (status, answer) = http(&collector, PROTOBUF, "gzip", body).await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer.contains("4 refused (1 in_future, 2 too_large, 1 too_old)"), "{answer:?}");
    assert_eq!(found(&collector, &trace_id).await, 3);
    // Whoever puts a trace together does not run in circles.
    let path = format!("/api/traces/{}", crate::hex(&trace_id));
    let (status, body) = get(collector.addresses().dashboard, &path).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let reasons = refused(&[("in_future", 1), ("too_large", 2), ("too_old", 1)]);
    assert_eq!(accounted(&collector, "otlp-http", "spans").await, (7, 3, reasons));
    is_unharmed(&collector, 2).await;
    collector.shutdown().await;
}

/// The status of a call, wherever it stands.
async fn call(collector: &Collector, path: &str, extra: &[(&'static str, &'static str)], body: Vec<u8>) -> (StatusCode, String) {
    let address = collector.addresses().otlp_grpc.unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let mut request = Request::post(format!("http://{address}{path}")).body(Full::from(body)).unwrap();
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    for (name, value) in extra {
        request.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let (head, body) = response.into_parts();
    let told = |headers: &HeaderMap| headers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    let trailers = body.collect().await.unwrap().trailers().cloned().unwrap_or_default();
    (status, told(&head.headers).or(told(&trailers)).unwrap_or_default())
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_calls_over_grpc() {
    let place = Place::sqlite();
    let collector = Collector::start(settings(&place)).await.unwrap();
    let ok = |code: &str| (StatusCode::OK, code.to_owned());
    let good = export("cart", vec![span(1, 1)]).encode_to_vec();

    assert_eq!(call(&collector, EXPORT, &[], framed(0, &good)).await, ok("0"));
    // A number that never ends, a message that is cut off, two messages, none, and a flag that does not exist.
    assert_eq!(call(&collector, EXPORT, &[], framed(0, &[0x0a; 20])).await, ok("3"));
    assert_eq!(call(&collector, EXPORT, &[], framed(0, &good)[..40].to_vec()).await, ok("3"));
    assert_eq!(call(&collector, EXPORT, &[], [framed(0, &good), framed(0, &good)].concat()).await, ok("3"));
    assert_eq!(call(&collector, EXPORT, &[], Vec::new()).await, ok("3"));
    assert_eq!(call(&collector, EXPORT, &[], framed(7, &good)).await, ok("3"));
    // Compressed without saying how, in a way that nobody knows, and as a bomb.
    assert_eq!(call(&collector, EXPORT, &[], framed(1, &good)).await, ok("3"));
    assert_eq!(call(&collector, EXPORT, &[("grpc-encoding", "br")], framed(1, &good)).await, ok("12"));
    let bomb = packed("gzip", &vec![0; 64 * 1024 * 1024]);
    assert_eq!(call(&collector, EXPORT, &[("grpc-encoding", "gzip")], framed(1, &bomb)).await, ok("8"));
    assert_eq!(call(&collector, EXPORT, &[], framed(0, &vec![0; 4 * 1024 * 1024 + 1])).await, ok("8"));
    // Not gRPC at all.
    let json = [("content-type", "application/json")];
    assert_eq!(call(&collector, EXPORT, &json, b"{}".to_vec()).await, ok("3"));

    let reasons = refused(&[("body_too_large", 2), ("broken_off", 2), ("undecodable", 4), ("unsupported_encoding", 2)]);
    assert_eq!(accounted(&collector, "otlp-grpc", "spans").await, (11, 1, reasons));
    assert_eq!(call(&collector, "/no.such.Service/Method", &[], framed(0, &[])).await, ok("12"));
    let elsewhere = call(&collector, "/", &json, Vec::new()).await;
    assert_eq!(elsewhere, (StatusCode::UNSUPPORTED_MEDIA_TYPE, String::new()));
    assert_eq!(call(&collector, "/grpc.health.v1.Health/Check", &[], framed(0, &[])).await, ok("0"));
    is_unharmed(&collector, 2).await;
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_call_is_cut_off_and_counted() {
    let place = Place::sqlite();
    let collector = Collector::start(settings(&place)).await.unwrap();
    let address = collector.addresses().otlp_grpc.unwrap();
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let line = stream.try_clone().unwrap();
    let stream = TokioIo::new(TcpStream::from_std(stream).unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let (frames, queue) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(4);
    let body = StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(queue));
    let request =
        Request::post(format!("http://{address}{EXPORT}")).header("content-type", "application/grpc").body(body).unwrap();
    let answer = tokio::spawn(sender.send_request(request));
    frames.send(Ok(Frame::data(Bytes::from_static(&[0, 0, 0, 1, 0, 7])))).await.unwrap();
    // The door has the call, and says so while it waits for the rest.
    eventually("the call is in the door", async || {
        let text = collector.metrics().encode();
        text.contains("sidelight_door_requests{door=\"otlp-grpc\"} 1")
    })
    .await;
    line.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(answer.await.unwrap().is_err());
    eventually("the call is counted", async || counts(&collector, "otlp-grpc", "spans").await.is_some()).await;
    assert_eq!(accounted(&collector, "otlp-grpc", "spans").await, (1, 0, refused(&[("broken_off", 1)])));
    is_unharmed(&collector, 1).await;
    collector.shutdown().await;
}
