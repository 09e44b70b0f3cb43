//! Log records through OTLP's doors.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use serde_json::json;
use sidelight_collector::Collector;

use crate::headers;
use crate::spans::now_ns;
use crate::support::place::Place;
use crate::support::running::{accounted, send, settings};

fn record(text: &str, time_unix_nano: u64) -> LogRecord {
    let body = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    LogRecord { time_unix_nano, body, ..LogRecord::default() }
}

fn export(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

pub async fn log_records_are_stored_once_and_judged_one_by_one(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let address = collector.addresses().otlp_grpc.unwrap();
    let mut client = LogsServiceClient::connect(format!("http://{address}")).await.unwrap();
    // Of two hours, which lie in two slices.
    let good = export(vec![record("a", now_ns()), record("b", now_ns() - 3_600_000_000_000)]);
    for _ in 0..2 {
        let answer = client.export(good.clone()).await.unwrap().into_inner();
        assert_eq!(answer, ExportLogsServiceResponse { partial_success: None });
    }
    let mixed = export(vec![record("c", now_ns()), record("d", 1)]);
    let partial = client.export(mixed).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!((partial.rejected_log_records, partial.error_message.as_str()), (1, "1 refused (1 too_old)"));
    let refused = vec![("duplicate".to_owned(), 2), ("too_old".to_owned(), 1)];
    assert_eq!(accounted(&collector, "otlp-grpc", "logs").await, (6, 3, refused));

    let address = collector.addresses().otlp_http.unwrap();
    let body = export(vec![record("e", now_ns())]).encode_to_vec();
    let sent = send(address, "POST", "/v1/logs", headers("application/x-protobuf", "identity"), body).await;
    assert_eq!(sent, (http::StatusCode::OK, String::new()));
    let line = json!({"timeUnixNano": now_ns().to_string(), "severityNumber": 9, "body": {"stringValue": "f"}});
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [line]}]}]}).to_string().into_bytes();
    let sent = send(address, "POST", "/v1/logs", headers("application/json", "identity"), body).await;
    assert_eq!(sent, (http::StatusCode::OK, "{}".to_owned()));
    assert_eq!(accounted(&collector, "otlp-http", "logs").await, (2, 2, Vec::new()));
    collector.shutdown().await;
}
