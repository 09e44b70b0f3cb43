//! Spans through OTLP's doors, over gRPC and HTTP: taken once, judged one by one, found again.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod envoy;
mod exporter;
mod guarded;
mod handshakes;
mod logs;
mod metrics;
mod spans;
mod tls;

use std::io::Write;

use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use serde_json::json;
use sidelight_collector::Collector;
use support::place::Place;
use support::running::{accounted, counts, get, send, settings};
use tonic::codec::CompressionEncoding;

use crate::logs::log_records_are_stored_once_and_judged_one_by_one;
use crate::metrics::{metrics_become_series_and_a_retry_adds_nothing, metrics_of_istio_draw_edges};
use crate::spans::{export, hex, span};

on_both!(
    a_trace_over_grpc_comes_back_and_a_retry_adds_nothing,
    bad_spans_are_refused_one_by_one,
    http_takes_every_encoding,
    log_records_are_stored_once_and_judged_one_by_one,
    metrics_become_series_and_a_retry_adds_nothing,
    metrics_of_istio_draw_edges,
);

async fn client(collector: &Collector) -> TraceServiceClient<tonic::transport::Channel> {
    let address = collector.addresses().otlp_grpc.unwrap();
    TraceServiceClient::connect(format!("http://{address}")).await.unwrap()
}

async fn found(collector: &Collector, trace_id: &[u8]) -> usize {
    let (status, body) = get(collector.addresses().zipkin, &format!("/api/v2/trace/{}", hex(trace_id))).await;
    if status == StatusCode::NOT_FOUND {
        return 0;
    }
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str::<Vec<serde_json::Value>>(&body).unwrap().len()
}

async fn a_trace_over_grpc_comes_back_and_a_retry_adds_nothing(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let spans = vec![span(1, 1), span(1, 2), span(1, 3)];
    let trace_id = spans[0].trace_id.clone();
    let request = export("cart", spans);
    let plain = client(&collector).await;
    let packings: [fn(TraceServiceClient<_>) -> TraceServiceClient<_>; 3] = [
        |client| client,
        |client| client.send_compressed(CompressionEncoding::Gzip),
        |client| client.send_compressed(CompressionEncoding::Zstd),
    ];
    for pack in packings {
        let answer = pack(plain.clone()).export(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer, ExportTraceServiceResponse { partial_success: None });
    }
    assert_eq!(found(&collector, &trace_id).await, 3);
    let expected = (9, 3, vec![("duplicate".to_owned(), 6)]);
    assert_eq!(accounted(&collector, "otlp-grpc", "spans").await, expected);
    collector.shutdown().await;
}

fn packed(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match encoding {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }
        "deflate" => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }
        "zstd" => zstd::encode_all(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    }
}

fn headers(media: &str, encoding: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (http::header::CONTENT_TYPE, media.parse().unwrap()),
        (http::header::CONTENT_ENCODING, encoding.parse().unwrap()),
    ])
}

type Serialize = fn(&ExportTraceServiceRequest) -> Vec<u8>;

async fn http_takes_every_encoding(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let address = collector.addresses().otlp_http.unwrap();
    let requests: [(&str, Serialize, &str); 2] = [
        ("application/x-protobuf", |request| request.encode_to_vec(), ""),
        ("application/json; charset=utf-8", |request| serde_json::to_vec(request).unwrap(), "{}"),
    ];
    let mut trace = 0;
    for (media, write, expected) in requests {
        for encoding in ["identity", "gzip", "deflate", "zstd"] {
            trace += 1;
            let spans = vec![span(trace, 1), span(trace, 2)];
            let trace_id = spans[0].trace_id.clone();
            let body = packed(encoding, &write(&export("cart", spans)));
            let answer = send(address, "POST", "/v1/traces", headers(media, encoding), body).await;
            assert_eq!(answer, (StatusCode::OK, expected.to_owned()), "{media} {encoding}");
            assert_eq!(found(&collector, &trace_id).await, 2, "{media} {encoding}");
        }
    }
    assert_eq!(accounted(&collector, "otlp-http", "spans").await, (16, 16, Vec::new()));
    // A span written by hand, as the specification's example is.
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "name": "by hand",
        "startTimeUnixNano": spans::now_ns().to_string(), "endTimeUnixNano": 0, "kind": 2, "unknownField": true,
        "attributes": [{"key": "my.int", "value": {"intValue": "7"}}]
    }]}]}]});
    let sent = send(address, "POST", "/v1/traces", headers("application/json", ""), body.to_string().into_bytes()).await;
    assert_eq!(sent, (StatusCode::OK, "{}".to_owned()));
    let (_, body) = get(collector.addresses().zipkin, "/api/v2/trace/5b8efff798038103d269b633813fc60c").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body[0]["tags"]["my.int"], &body[0]["kind"]), (&json!("7"), &json!("SERVER")));
    collector.shutdown().await;
}

async fn bad_spans_are_refused_one_by_one(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let bad = |change: fn(&mut spans::Span)| {
        let mut span = span(1, 9);
        change(&mut span);
        span
    };
    let spans = vec![
        span(1, 1),
        bad(|span| span.trace_id = vec![0; 16]),
        bad(|span| span.start_time_unix_nano = 1),
        bad(|span| span.trace_id.truncate(3)),
    ];
    let answer = client(&collector).await.export(export("cart", spans.clone())).await.unwrap().into_inner();
    let partial = answer.partial_success.unwrap();
    let message = "3 refused (2 bad_trace_id, 1 too_old)";
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, message));

    let address = collector.addresses().otlp_http.unwrap();
    let body = serde_json::to_vec(&export("cart", spans)).unwrap();
    let (status, body) = send(address, "POST", "/v1/traces", headers("application/json", "identity"), body).await;
    let expected = json!({"partialSuccess": {"rejectedSpans": "3", "errorMessage": message}});
    assert_eq!((status, serde_json::from_str::<serde_json::Value>(&body).unwrap()), (StatusCode::OK, expected));
    let refused = |reasons: &[(&str, u64)]| reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
    let taken = (4, 1, refused(&[("bad_trace_id", 2), ("too_old", 1)]));
    assert_eq!(accounted(&collector, "otlp-grpc", "spans").await, taken);
    let again = (4, 0, refused(&[("bad_trace_id", 2), ("duplicate", 1), ("too_old", 1)]));
    let counted = accounted(&collector, "otlp-http", "spans").await;
    assert!(counted == again || counted == taken, "the same span through another door: {counted:?}");
    assert!(counts(&collector, "otlp-http", "spans").await.unwrap().bytes > 0);
    collector.shutdown().await;
}
