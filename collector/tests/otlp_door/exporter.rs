//! The exporter that programs in Rust use, as a client of the door.

use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{KeyValue, StringValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::json;
use sidelight_collector::Collector;

use crate::support::place::Place;
use crate::support::running::{accounted, get, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_the_sdk_arrive_as_they_were_made() {
    let place = Place::sqlite();
    let collector = Collector::start(settings(&place)).await.unwrap();
    let endpoint = format!("http://{}", collector.addresses().otlp_grpc.unwrap());
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().unwrap();
    let resource = Resource::builder_empty().with_service_name("checkout").build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer("shop");
    let mut span = tracer.span_builder("charge").with_kind(SpanKind::Client).start(&tracer);
    span.set_attribute(KeyValue::new("amount", 12.5));
    span.set_attribute(KeyValue::new("cards", Value::Array(vec![StringValue::from("visa")].into())));
    span.add_event("declined", vec![KeyValue::new("code", 51)]);
    span.set_status(Status::error("card declined"));
    let trace_id = span.span_context().trace_id().to_string();
    span.end();
    // The last batch is sent from a thread of the exporter's own.
    tokio::task::spawn_blocking(move || provider.shutdown()).await.unwrap().unwrap();

    let (_, body) = get(collector.addresses().zipkin, &format!("/api/v2/trace/{trace_id}")).await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body[0]["name"], &body[0]["kind"]), (&json!("charge"), &json!("CLIENT")));
    assert_eq!(body[0]["localEndpoint"], json!({"serviceName": "checkout"}));
    let cards = r#"{"arrayValue":{"values":[{"stringValue":"visa"}]}}"#;
    assert_eq!(body[0]["tags"], json!({"amount": "12.5", "cards": cards, "error": "card declined"}));
    assert_eq!(body[0]["annotations"][0]["value"], "declined");
    assert_eq!(accounted(&collector, "otlp-grpc", "spans").await, (1, 1, Vec::new()));
    collector.shutdown().await;
}
