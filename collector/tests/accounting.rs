//! Every door under load, with more than it may read at once, bad items and broken bodies: what its clients sent is what it
//! stored and what it refused, to the item, and what it stored is in the blocks.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::data::accesslog::v3::{AccessLogCommon, HttpAccessLogEntry, HttpRequestProperties};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{HttpAccessLogEntries, Identifier, LogEntries};
use envoy_types::pb::google::protobuf::Timestamp;
use http::{HeaderMap, HeaderValue, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use serde_json::{Value, json};
use sidelight_collector::clock::now_ms;
use sidelight_collector::ingest::door::DoorLimits;
use sidelight_collector::ingest::remote_write::message::{Label, Sample, TimeSeries, WriteRequest};
use sidelight_collector::store::{Family, Order};
use sidelight_collector::{Addresses, Collector, Settings};
use support::place::Place;
use support::proxy::CountingProxy;
use support::running::{counts, eventually, send, settings};

on_both!(what_was_sent_is_stored_or_refused_at_every_door);

/// Clients of each door at the same time, more than it reads at once.
const CLIENTS: u64 = 4;
const REQUESTS_PER_CLIENT: u64 = 12;
const GOOD: u64 = 3;
const BAD: u64 = 2;

/// Samples of each page of the proxy: six of an edge, and two of the proxy itself.
const PAGE: u64 = 8;

/// What is in one request.
#[derive(Clone, Copy)]
struct Asked {
    number: u64,
    bad: u64,
    is_broken: bool,
}

impl Asked {
    fn new(number: u64) -> Self {
        Self { number, bad: if number.is_multiple_of(3) { BAD } else { 0 }, is_broken: number % 7 == 6 }
    }

    /// Each with its place, and the time of the bad ones so long ago that nobody keeps it.
    fn items(self) -> impl Iterator<Item = (String, i64)> {
        let (now_ms, number) = (now_ms(), self.number);
        (0..GOOD + self.bad).map(move |place| (format!("{number}-{place}"), if place < GOOD { now_ms } else { 1 }))
    }
}

/// What a door says it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    received: u64,
    stored: u64,
}

impl Told {
    /// As a whole: what is in it nobody counts.
    const REFUSED: Self = Self { received: 1, stored: 0 };

    fn taken(asked: Asked) -> Self {
        Self { received: GOOD + asked.bad, stored: GOOD }
    }

    fn plus(self, other: Self) -> Self {
        Self { received: self.received + other.received, stored: self.stored + other.stored }
    }
}

fn resource() -> Value {
    json!({"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]})
}

fn spans(asked: Asked) -> Value {
    let span = |(place, (name, at_ms)): (usize, (String, i64))| {
        json!({"traceId": format!("{:032x}", asked.number + 1), "spanId": format!("{:016x}", place + 1), "name": name, "kind": 2,
            "startTimeUnixNano": (at_ms * 1_000_000).to_string(), "endTimeUnixNano": (at_ms * 1_000_000).to_string()})
    };
    let spans: Vec<Value> = asked.items().enumerate().map(span).collect();
    json!({"resourceSpans": [{"resource": resource(), "scopeSpans": [{"spans": spans}]}]})
}

fn metrics(asked: Asked) -> Value {
    let point = |(name, at_ms): (String, i64)| {
        let attribute = json!({"key": "place", "value": {"stringValue": name}});
        json!({"attributes": [attribute], "timeUnixNano": (at_ms * 1_000_000).to_string(), "asDouble": 1.5})
    };
    let points: Vec<Value> = asked.items().map(point).collect();
    json!({"resourceMetrics": [{"resource": resource(),
        "scopeMetrics": [{"metrics": [{"name": "load", "gauge": {"dataPoints": points}}]}]}]})
}

fn logs(asked: Asked) -> Value {
    let record = |(name, at_ms): (String, i64)| json!({"timeUnixNano": (at_ms * 1_000_000).to_string(), "severityNumber": 9, "body": {"stringValue": name}});
    let records: Vec<Value> = asked.items().map(record).collect();
    json!({"resourceLogs": [{"resource": resource(), "scopeLogs": [{"logRecords": records}]}]})
}

fn zipkin(asked: Asked) -> Value {
    let span = |(place, (name, at_ms)): (usize, (String, i64))| {
        json!({"traceId": format!("f{:015x}", asked.number + 1), "id": format!("{:x}", place + 1), "name": name,
            "timestamp": at_ms * 1000, "duration": 7, "localEndpoint": {"serviceName": "stock"}})
    };
    asked.items().enumerate().map(span).collect()
}

fn lines(asked: Asked) -> Vec<u8> {
    let line = |(name, at_ms): (String, i64)| {
        let at = time::OffsetDateTime::from_unix_timestamp(at_ms / 1000).unwrap();
        let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
        format!(
            "[{at}] \"GET /{name} HTTP/1.1\" 200 - via_upstream - \"-\" 0 5 3 2 \"-\" \"curl\" \"r-{name}\" \"cart:80\" \
             \"10.0.0.2:80\" inbound|80|| 127.0.0.1:1 10.0.0.2:80 10.0.0.1:2 - default\n"
        )
    };
    asked.items().map(line).collect::<String>().into_bytes()
}

fn remote_write(asked: Asked) -> Vec<u8> {
    let series = |(name, timestamp): (String, i64)| {
        let labels = [("__name__", "pushed"), ("place", &*name)];
        let labels = labels.map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() });
        TimeSeries { labels: labels.into(), samples: vec![Sample { value: 1.0, timestamp }], ..TimeSeries::default() }
    };
    let request = WriteRequest { timeseries: asked.items().map(series).collect() };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

/// A request over HTTP: where to, what with, and the answer that says that the good items are stored.
async fn over_http(door: SocketAddr, path: &str, headers: &[(&'static str, &'static str)], body: Vec<u8>, asked: Asked) -> Told {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    let body = if asked.is_broken { b"{".to_vec() } else { body };
    let (status, text) = send(door, "POST", path, HeaderMap::from_iter(headers), body).await;
    // Remote write says 400 when it has refused some, and how many it has written.
    let is_partial = status == StatusCode::BAD_REQUEST && text.starts_with(&format!("{GOOD} samples were written"));
    if status.is_success() || is_partial {
        assert!(!asked.is_broken, "{path}: {text}");
        return Told::taken(asked);
    }
    let expected = if asked.is_broken { vec![400, 503, 429] } else { vec![503, 429] };
    assert!(expected.contains(&status.as_u16()), "{path}: {status} {text}");
    Told::REFUSED
}

fn over_grpc(answer: Result<u64, tonic::Status>, asked: Asked) -> Told {
    match answer {
        Ok(rejected) => {
            assert_eq!(rejected, asked.bad);
            Told::taken(asked)
        }
        Err(status) => {
            let is_retryable = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::ResourceExhausted);
            assert!(is_retryable, "{status:?}");
            Told::REFUSED
        }
    }
}

fn grpc(addresses: &Addresses) -> String {
    format!("http://{}", addresses.otlp_grpc.unwrap())
}

async fn grpc_spans(addresses: &Addresses, asked: Asked) -> Told {
    let mut client = TraceServiceClient::connect(grpc(addresses)).await.unwrap();
    let answer = client.export(serde_json::from_value::<ExportSpans>(spans(asked)).unwrap()).await;
    let rejected = |answer: tonic::Response<_>| -> u64 {
        let answer: opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse = answer.into_inner();
        answer.partial_success.map_or(0, |partial| partial.rejected_spans.cast_unsigned())
    };
    over_grpc(answer.map(rejected), asked)
}

async fn grpc_samples(addresses: &Addresses, asked: Asked) -> Told {
    let mut client = MetricsServiceClient::connect(grpc(addresses)).await.unwrap();
    let answer = client.export(serde_json::from_value::<ExportMetrics>(metrics(asked)).unwrap()).await;
    let rejected = |answer: tonic::Response<_>| -> u64 {
        let answer: opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse = answer.into_inner();
        answer.partial_success.map_or(0, |partial| partial.rejected_data_points.cast_unsigned())
    };
    over_grpc(answer.map(rejected), asked)
}

async fn grpc_logs(addresses: &Addresses, asked: Asked) -> Told {
    let mut client = LogsServiceClient::connect(grpc(addresses)).await.unwrap();
    let answer = client.export(serde_json::from_value::<ExportLogs>(logs(asked)).unwrap()).await;
    let rejected = |answer: tonic::Response<_>| -> u64 {
        let answer: opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse = answer.into_inner();
        answer.partial_success.map_or(0, |partial| partial.rejected_log_records.cast_unsigned())
    };
    over_grpc(answer.map(rejected), asked)
}

type ExportSpans = opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
type ExportMetrics = opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
type ExportLogs = opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

/// A stream of two messages. Its first message must say who sends: one that does not ends the stream, and its entries are
/// refused.
async fn als(addresses: &Addresses, asked: Asked) -> Told {
    let entry = |(name, at_ms): (String, i64)| HttpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            start_time: Some(Timestamp { seconds: at_ms / 1000, nanos: 0 }),
            ..AccessLogCommon::default()
        }),
        request: Some(HttpRequestProperties { path: format!("/{name}"), ..HttpRequestProperties::default() }),
        ..HttpAccessLogEntry::default()
    };
    let node = Node { id: "host-7".to_owned(), cluster: "cart".to_owned(), ..Node::default() };
    let identifier = Identifier { node: Some(node), log_name: "access".to_owned() };
    let message = |identifier: Option<Identifier>| StreamAccessLogsMessage {
        identifier,
        log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry: asked.items().map(entry).collect() })),
    };
    let mut client = AccessLogServiceClient::connect(grpc(addresses)).await.unwrap();
    let messages = [message(Some(identifier).filter(|_| !asked.is_broken)), message(None)];
    let answer = client.stream_access_logs(tokio_stream::iter(messages)).await;
    let one = Told::taken(asked);
    if asked.is_broken {
        assert_eq!(answer.unwrap_err().code(), tonic::Code::InvalidArgument);
        return Told { stored: 0, ..one };
    }
    answer.unwrap();
    one.plus(one)
}

/// Whether a request can be broken as a whole: what a client of gRPC sends is well-formed, and no line of a log harms another.
fn can_break(door: &str) -> bool {
    !matches!(door, "otlp-grpc" | "access-logs")
}

/// One request to one door.
async fn ask(door: (&str, &str), addresses: &Addresses, asked: Asked) -> Told {
    let asked = Asked { is_broken: asked.is_broken && can_break(door.0), ..asked };
    let json = [("content-type", "application/json")];
    let snappy = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let (http, bytes) = (addresses.otlp_http.unwrap(), |value: Value| value.to_string().into_bytes());
    match door {
        ("otlp-http", "spans") => over_http(http, "/v1/traces", &json, bytes(spans(asked)), asked).await,
        ("otlp-http", "samples") => over_http(http, "/v1/metrics", &json, bytes(metrics(asked)), asked).await,
        ("otlp-http", "logs") => over_http(http, "/v1/logs", &json, bytes(logs(asked)), asked).await,
        ("zipkin", _) => over_http(addresses.zipkin, "/api/v2/spans", &json, bytes(zipkin(asked)), asked).await,
        ("remote-write", _) => over_http(http, "/api/v1/write", &snappy, remote_write(asked), asked).await,
        ("access-logs", _) => over_http(http, "/v1/access-logs?service=cart", &[], lines(asked), asked).await,
        ("als", _) => als(addresses, asked).await,
        ("otlp-grpc", "spans") => grpc_spans(addresses, asked).await,
        ("otlp-grpc", "samples") => grpc_samples(addresses, asked).await,
        _ => grpc_logs(addresses, asked).await,
    }
}

const DOORS: [(&str, &str); 10] = [
    ("otlp-http", "spans"),
    ("otlp-http", "samples"),
    ("otlp-http", "logs"),
    ("otlp-grpc", "spans"),
    ("otlp-grpc", "samples"),
    ("otlp-grpc", "logs"),
    ("zipkin", "spans"),
    ("remote-write", "samples"),
    ("access-logs", "logs"),
    ("als", "logs"),
];

/// Asks again for as long as the door is busy; each time counts.
async fn until_taken(door: (&str, &str), addresses: &Addresses, asked: Asked) -> Told {
    let mut sum = Told::default();
    loop {
        let told = ask(door, addresses, asked).await;
        sum = sum.plus(told);
        if told != Told::REFUSED || (asked.is_broken && can_break(door.0)) {
            return sum;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Items that a door has to have stored in the end.
fn wanted(door: &str, place: u64) -> u64 {
    let requests = CLIENTS * REQUESTS_PER_CLIENT;
    let asked = (place * requests..(place + 1) * requests).map(Asked::new);
    let whole = asked.filter(|asked| !asked.is_broken || !can_break(door)).count() as u64;
    if door == "als" { 2 * GOOD * whole } else { GOOD * whole }
}

/// All doors at once; what each of them told its clients.
async fn load(addresses: Addresses) -> BTreeMap<(&'static str, &'static str), Told> {
    let mut clients = tokio::task::JoinSet::new();
    for (place, door) in DOORS.into_iter().enumerate() {
        for client in 0..CLIENTS {
            let first = (place as u64 * CLIENTS + client) * REQUESTS_PER_CLIENT;
            clients.spawn(async move {
                let mut sum = Told::default();
                for number in first..first + REQUESTS_PER_CLIENT {
                    sum = sum.plus(until_taken(door, &addresses, Asked::new(number)).await);
                }
                (door, sum)
            });
        }
    }
    let mut told: BTreeMap<_, Told> = BTreeMap::new();
    while let Some(client) = clients.join_next().await {
        let (door, sum) = client.unwrap();
        let known = told.entry(door).or_default();
        *known = known.plus(sum);
    }
    told
}

/// Items in the blocks of a family.
async fn in_blocks(collector: &Collector, family: Family) -> u64 {
    let heads = collector.store().blocks(family, 0..i64::MAX, Order::OldestFirst, 100_000).await.unwrap();
    heads.iter().map(|head| u64::from(head.items)).sum()
}

async fn what_was_sent_is_stored_or_refused_at_every_door(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    let mut settings = Settings { scrape_urls: vec![proxy.url()], ..settings(place) };
    settings.doors.limits = DoorLimits { in_flight: 3, ..DoorLimits::default() };
    let collector = Collector::start(settings).await.unwrap();
    let told = load(collector.addresses()).await;
    eventually("a few scrapes", async || proxy.scrapes() > 2).await;
    collector.shutdown().await;

    // What was counted outlives the process.
    let collector = Collector::start(support::running::settings(place)).await.unwrap();
    let mut by_signal: BTreeMap<&str, u64> = BTreeMap::new();
    for ((door, signal), told) in told {
        let counted = counts(&collector, door, signal).await.unwrap();
        let refused: u64 = counted.refused.values().sum();
        println!("{door} {signal}: {} received, {} stored, refused {:?}", counted.received, counted.stored, counted.refused);
        assert_eq!((counted.received, counted.stored), (told.received, told.stored), "{door} {signal}");
        let place = DOORS.iter().position(|known| *known == (door, signal)).unwrap() as u64;
        assert_eq!(counted.stored, wanted(door, place), "{door} {signal}");
        assert_eq!(refused, told.received - told.stored, "{door} {signal}");
        *by_signal.entry(signal).or_default() += told.stored;
    }
    let scraped = counts(&collector, "scrape", "samples").await.unwrap();
    assert_eq!((scraped.received, scraped.stored), (PAGE * proxy.scrapes(), PAGE * proxy.scrapes()), "{:?}", scraped.refused);
    let reports = counts(&collector, "scrape", "report_samples").await.unwrap();
    assert_eq!(reports.received, reports.stored);
    assert_eq!(in_blocks(&collector, Family::SpanBlock).await, by_signal["spans"]);
    assert_eq!(in_blocks(&collector, Family::LogBlock).await, by_signal["logs"]);
    let samples = by_signal["samples"] + scraped.stored + reports.stored;
    assert_eq!(in_blocks(&collector, Family::SampleBlock).await, samples);
    collector.shutdown().await;
}
