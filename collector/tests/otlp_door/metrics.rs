//! Metrics through OTLP's doors.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::json;
use sidelight_collector::Collector;
use sidelight_collector::store::{Matcher, SampleQuery, Totals, Window};

use crate::headers;
use crate::spans::{attribute, now_ns};
use crate::support::place::Place;
use crate::support::running::{accounted, send, settings};

fn requests(temporality: i32, values: &[i64]) -> Metric {
    let at = |(place, value): (usize, &i64)| NumberDataPoint {
        time_unix_nano: now_ns() + place as u64 * 1_000_000,
        attributes: vec![attribute("http.method", "GET")],
        value: Some(Value::AsInt(*value)),
        ..NumberDataPoint::default()
    };
    let data_points = values.iter().enumerate().map(at).collect();
    let sum = Sum { data_points, aggregation_temporality: temporality, is_monotonic: true };
    Metric { name: "requests".to_owned(), unit: "{request}".to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() }
}

fn export(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let attributes = vec![attribute("service.name", "cart"), attribute("host.name", "h1")];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
    }
}

/// Istio's metrics of one edge, of a process that started five seconds ago.
fn istio(requests: i64, buckets: [u64; 3]) -> Vec<Metric> {
    let (start_time_unix_nano, time_unix_nano) = (now_ns() - 5_000_000_000, now_ns());
    let attributes =
        vec![attribute("reporter", "destination"), attribute("destination_workload", "cart"), attribute("response_code", "200")];
    let point = NumberDataPoint {
        start_time_unix_nano,
        time_unix_nano,
        attributes: attributes.clone(),
        value: Some(Value::AsInt(requests)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    let point = HistogramDataPoint {
        start_time_unix_nano,
        time_unix_nano,
        attributes,
        count: buckets.iter().sum(),
        sum: Some(12.5),
        bucket_counts: buckets.to_vec(),
        explicit_bounds: vec![1.0, 10.0],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    let metric = |name: &str, unit: &str, data| Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    vec![
        metric("istio_requests_total", "", Data::Sum(sum)),
        metric("istio_request_duration_milliseconds", "ms", Data::Histogram(histogram)),
    ]
}

pub async fn metrics_of_istio_draw_edges(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let address = collector.addresses().otlp_grpc.unwrap();
    let mut client = MetricsServiceClient::connect(format!("http://{address}")).await.unwrap();
    client.export(export(istio(6, [1, 2, 3]))).await.unwrap();
    client.export(export(istio(10, [2, 2, 6]))).await.unwrap();
    let always = Window { from_ms: 0, to_ms: 4_000_000_000_000 };
    let edges = collector.store().edges(always, None).await.unwrap().edges;
    let labels = edges.first().unwrap().labels.clone();
    assert_eq!((&*labels.destination_workload, &*labels.response_code, &*labels.telemetry), ("cart", "200", ""));
    let mut totals = Totals::default();
    edges.iter().for_each(|edge| totals.add(&edge.totals));
    assert_eq!((totals.requests, totals.duration.counts, totals.duration.sum), (10, vec![2, 2, 6], 12.5));
    // Each point of a sum, and of a histogram its sum and three buckets; none of the resource.
    assert_eq!(accounted(&collector, "otlp-grpc", "edge_samples").await, (10, 10, Vec::new()));
    collector.shutdown().await;
}

pub async fn metrics_become_series_and_a_retry_adds_nothing(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let address = collector.addresses().otlp_grpc.unwrap();
    let mut client = MetricsServiceClient::connect(format!("http://{address}")).await.unwrap();
    let good = export(vec![requests(2, &[7, 9])]);
    for _ in 0..2 {
        assert_eq!(client.export(good.clone()).await.unwrap().into_inner().partial_success, None);
    }
    let delta = export(vec![requests(1, &[1])]);
    let partial = client.export(delta).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!((partial.rejected_data_points, partial.error_message.as_str()), (1, "1 refused (1 delta)"));
    // Two points and the resource, sent twice.
    let refused = vec![("delta".to_owned(), 1), ("duplicate".to_owned(), 3)];
    assert_eq!(accounted(&collector, "otlp-grpc", "samples").await, (7, 3, refused));

    let now_ms = sidelight_collector::clock::now_ms();
    let query = SampleQuery::new(vec![Matcher::equal("job", "cart")], now_ms - 600_000, now_ms + 600_000);
    let found = collector.store().select(&query).await.unwrap();
    let mut found: Vec<String> = found
        .iter()
        .map(|series| {
            let labels: Vec<String> = series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let values: Vec<f64> = series.samples.iter().map(|sample| sample.value).collect();
            format!("{} {values:?}", labels.join(","))
        })
        .collect();
    found.sort();
    let expected =
        ["__name__=requests_total,http_method=GET,job=cart [7.0, 9.0]", "__name__=target_info,host_name=h1,job=cart [1.0]"];
    assert_eq!(found, expected);

    let address = collector.addresses().otlp_http.unwrap();
    let body = export(vec![requests(2, &[11])]).encode_to_vec();
    let sent = send(address, "POST", "/v1/metrics", headers("application/x-protobuf", "identity"), body).await;
    assert_eq!(sent, (http::StatusCode::OK, String::new()));
    let point = json!({"timeUnixNano": now_ns().to_string(), "asDouble": 1.5});
    let metric = json!({"name": "load", "gauge": {"dataPoints": [point]}});
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).to_string().into_bytes();
    let sent = send(address, "POST", "/v1/metrics", headers("application/json", "identity"), body).await;
    assert_eq!(sent, (http::StatusCode::OK, "{}".to_owned()));
    assert_eq!(accounted(&collector, "otlp-http", "samples").await, (3, 3, Vec::new()));
    collector.shutdown().await;
}
