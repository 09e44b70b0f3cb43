//! Metrics as programs send them, and the samples that Prometheus would have made of them.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, Summary,
};

use super::*;

const NOW_MS: i64 = 1_795_416_100_321;
const AT_NS: u64 = 1_795_416_100_000_000_000;
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Writes samples as an exposition does, with their time in seconds before now.
#[derive(Default)]
struct Written {
    lines: Vec<String>,
    refused: Vec<(&'static str, u64)>,
}

impl Sink for Written {
    fn add(&mut self, labels: &[(&str, &str)], sample: Sample, _since_ms: Option<i64>) {
        assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "{labels:?}");
        let name = labels.iter().find(|(name, _)| *name == "__name__").unwrap().1;
        let labels = labels.iter().filter(|(name, _)| *name != "__name__");
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
        let value = if sample.value.to_bits() == stale().to_bits() { "stale".to_owned() } else { sample.value.to_string() };
        self.lines.push(format!("{name}{{{}}} {value} @{}", labels.join(","), NOW_MS - sample.t_ms));
    }

    fn refuse(&mut self, reason: &'static str, count: u64) {
        self.refused.push((reason, count));
    }

    fn exemplar(&mut self, labels: &[(&str, &str)], sample: Sample, own: &[(&str, &str)]) {
        self.add(labels, sample, None);
        let own: Vec<String> = own.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        if let Some(line) = self.lines.last_mut() {
            line.push_str(&format!(" # {{{}}}", own.join(",")));
        }
    }

    fn refuse_exemplars(&mut self, reason: &'static str, count: u64) {
        self.refuse(reason, count);
    }

    fn describe(&mut self, _metadata: Metadata) {}

    fn is_full(&self) -> bool {
        self.lines.len() == 50
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn number(value: Value) -> NumberDataPoint {
    let attributes = vec![text("http.method", "GET"), text("http_method", "again")];
    NumberDataPoint { attributes, time_unix_nano: AT_NS, value: Some(value), ..NumberDataPoint::default() }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn read(attributes: Vec<KeyValue>, metrics: Vec<Metric>) -> Written {
    let scope = InstrumentationScope { name: "lib".to_owned(), version: "1".to_owned(), ..InstrumentationScope::default() };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    let request = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    let mut written = Written::default();
    decode(&request, NOW_MS, &mut written).unwrap();
    written
}

#[test]
fn sums_and_gauges_become_series_of_their_target() {
    let sum =
        |is_monotonic| Sum { data_points: vec![number(Value::AsInt(7))], aggregation_temporality: CUMULATIVE, is_monotonic };
    let gauge = Gauge { data_points: vec![number(Value::AsDouble(0.5))] };
    let resource = vec![
        text("service.name", "cart"),
        text("service.namespace", "shop"),
        text("service.instance.id", "cart-0"),
        text("host.name", "h1"),
    ];
    let metrics = vec![
        metric("requests", "{request}", Data::Sum(sum(true))),
        metric("queue.length", "", Data::Sum(sum(false))),
        metric("cpu.utilization", "1", Data::Gauge(gauge)),
    ];
    let own = r#"http_method="GET;again",instance="cart-0",job="shop/cart",otel_scope_name="lib",otel_scope_version="1""#;
    let expected = [
        format!("requests_total{{{own}}} 7 @321"),
        format!("queue_length{{{own}}} 7 @321"),
        format!("cpu_utilization_ratio{{{own}}} 0.5 @321"),
        r#"target_info{host_name="h1",instance="cart-0",job="shop/cart"} 1 @321"#.to_owned(),
    ];
    assert_eq!(read(resource, metrics).lines, expected);
}

#[test]
fn histograms_and_summaries_become_several_series() {
    let point = HistogramDataPoint {
        time_unix_nano: AT_NS,
        count: 6,
        sum: Some(12.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 10.0],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: CUMULATIVE };
    let quantile_values = vec![ValueAtQuantile { quantile: 0.99, value: 3.0 }];
    let point = SummaryDataPoint { count: 2, sum: 4.0, quantile_values, ..SummaryDataPoint::default() };
    let summary = Summary { data_points: vec![point] };
    let metrics = vec![metric("latency", "ms", Data::Histogram(histogram)), metric("size", "By", Data::Summary(summary))];
    let scope = r#"otel_scope_name="lib",otel_scope_version="1""#;
    let expected = [
        format!(r#"latency_milliseconds_bucket{{le="0.5",{scope}}} 1 @321"#),
        format!(r#"latency_milliseconds_bucket{{le="10",{scope}}} 3 @321"#),
        format!(r#"latency_milliseconds_bucket{{le="+Inf",{scope}}} 6 @321"#),
        format!("latency_milliseconds_count{{{scope}}} 6 @321"),
        format!("latency_milliseconds_sum{{{scope}}} 12.5 @321"),
        format!(r#"size_bytes{{{scope},quantile="0.99"}} 3 @0"#),
        format!("size_bytes_sum{{{scope}}} 4 @0"),
        format!("size_bytes_count{{{scope}}} 2 @0"),
    ];
    assert_eq!(read(Vec::new(), metrics).lines, expected);
}

#[test]
fn what_cannot_be_a_series_is_refused_by_reason() {
    let delta = Sum { data_points: vec![number(Value::AsInt(1)); 2], aggregation_temporality: 1, is_monotonic: true };
    let bad = HistogramDataPoint { bucket_counts: vec![1], explicit_bounds: vec![1.0], ..HistogramDataPoint::default() };
    let bad = Histogram { data_points: vec![bad], aggregation_temporality: CUMULATIVE };
    let exponential = ExponentialHistogram {
        data_points: vec![ExponentialHistogramDataPoint::default(); 3],
        aggregation_temporality: CUMULATIVE,
    };
    let empty = Gauge { data_points: vec![NumberDataPoint::default()] };
    let metrics = vec![
        metric("a", "", Data::Sum(delta)),
        metric("b", "", Data::Histogram(bad)),
        metric("c", "", Data::ExponentialHistogram(exponential)),
        metric("d", "", Data::Gauge(empty)),
        Metric::default(),
    ];
    let written = read(Vec::new(), metrics);
    assert_eq!(written.lines, Vec::<String>::new());
    let expected = [("delta", 2), ("bad_histogram", 1), ("exponential_histogram", 3), ("no_data", 1), ("no_data", 1)];
    assert_eq!(written.refused, expected);
}

fn gauge(data_points: Vec<NumberDataPoint>) -> Vec<Metric> {
    vec![metric("a", "", Data::Gauge(Gauge { data_points }))]
}

#[test]
fn what_is_too_much_is_refused_before_it_is_put_together() {
    let attributes = (0..257).map(|place| text(&format!("k{place}"), "v")).collect();
    let many = NumberDataPoint { attributes, ..number(Value::AsInt(1)) };
    let long = NumberDataPoint { attributes: vec![text("k", &"v".repeat(16_385))], ..number(Value::AsInt(1)) };
    let huge = NumberDataPoint { attributes: vec![text("k", &"v".repeat(1024 * 1024))], ..number(Value::AsInt(1)) };
    let written = read(Vec::new(), gauge(vec![many, number(Value::AsInt(1)), long, huge]));
    assert_eq!((written.lines.len(), written.refused), (1, vec![("label_limit", 1), ("label_limit", 1), ("too_large", 1)]));
    // What points share harms all of them.
    let named = vec![text("service.instance.id", &"v".repeat(16_385))];
    let written = read(named, gauge(vec![number(Value::AsInt(1)); 2]));
    assert_eq!((written.lines.len(), written.refused), (0, vec![("label_limit", 1); 2]));
    let huge = vec![text("host.name", &"v".repeat(1024 * 1024))];
    assert_eq!(read(huge, gauge(vec![number(Value::AsInt(1))])).refused, [("too_large", 1)]);
    // Of a resource that has too much beside its name, only what tells that is missing.
    let described = vec![text("service.name", "a"), text("host.name", &"v".repeat(16_385))];
    let written = read(described, gauge(vec![number(Value::AsInt(1))]));
    assert_eq!((written.lines.len(), written.refused), (1, vec![("label_limit", 1)]));
    let written = read(Vec::new(), gauge(vec![number(Value::AsInt(1)); 60]));
    assert_eq!((written.lines.len(), written.refused), (50, vec![("too_many_items", 1); 10]));
}

#[test]
fn names_that_are_no_utf8_harm_their_metric_alone() {
    let resource_metrics = |name: &[u8]| {
        let point = number(Value::AsInt(1)).encode_to_vec();
        let framed = |number: u8, message: &[u8]| [&[number << 3 | 2, u8::try_from(message.len()).unwrap()], message].concat();
        let metric = [framed(1, name), framed(5, &framed(1, &point))].concat();
        framed(1, &framed(2, &framed(2, &metric)))
    };
    let mut written = Written::default();
    decode(&[resource_metrics(b"\xff"), resource_metrics(b"good")].concat(), NOW_MS, &mut written).unwrap();
    assert_eq!((written.lines.len(), written.refused), (1, vec![("bad_utf8", 1)]));
    assert!(decode(&resource_metrics(b"cut")[..20], NOW_MS, &mut Written::default()).is_err());
}

#[test]
fn a_missing_value_ends_its_series() {
    let flags = DataPointFlags::NoRecordedValueMask as u32;
    let point = NumberDataPoint { time_unix_nano: AT_NS, flags, ..NumberDataPoint::default() };
    let gauge = Gauge { data_points: vec![point] };
    let written = read(Vec::new(), vec![metric("a", "", Data::Gauge(gauge))]);
    assert_eq!(written.lines, [r#"a{otel_scope_name="lib",otel_scope_version="1"} stale @321"#]);
}
