//! Jaeger's query API from our own store: classic, v3 and gRPC tell the same traces, dependencies are exact, the archive
//! outlives retention, and bad questions get clear answers.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use serde_json::{Value, json};
use sidelight_collector::settings::AuthSettings;
use sidelight_collector::store::{ArchiveLimits, Retention};
use sidelight_collector::web::auth::Token;
use sidelight_collector::web::jaeger::proto;
use sidelight_collector::{Collector, Settings};
use support::grpc::{ask, call};
use support::place::Place;
use support::running::{eventually, get, send, settings};

on_both!(
    a_trace_is_told_in_jaegers_words,
    searches_are_narrowed,
    the_versions_agree,
    dependencies_are_exact,
    an_archived_trace_outlives_retention,
    a_full_archive_says_so,
    bad_questions_are_told_what_is_wrong,
    ten_thousand_spans_are_one_answer,
    reading_needs_the_login,
);

const TRACE: &str = "0000000000000abc";
const V2: &str = "/jaeger.api_v2.QueryService";
const V3: &str = "/jaeger.api_v3.QueryService";

fn now_us() -> i64 {
    sidelight_collector::clock::now_ms() * 1000
}

fn span(trace: &str, id: &str, parent: &str, kind: &str, service: &str, at_us: i64) -> Value {
    let mut span = json!({"traceId": trace, "id": id, "kind": kind, "name": "GET /", "timestamp": at_us, "duration": 4_000,
        "localEndpoint": {"serviceName": service}, "tags": {"http.status_code": "200"}});
    if !parent.is_empty() {
        span["parentId"] = parent.into();
    }
    span
}

/// A call of one service by another, as two proxies tell it.
fn exchange(trace: &str, caller: &str, called: &str, is_error: bool) -> [Value; 2] {
    let at_us = now_us() - 1_000_000;
    let client = span(trace, "1", "", "CLIENT", caller, at_us);
    let mut server = span(trace, "2", "1", "SERVER", called, at_us + 1_000);
    if is_error {
        server["tags"]["error"] = "true".into();
    }
    [client, server]
}

async fn start(place: &Place) -> Collector {
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let settings = Settings { jaeger_query: Some(free), jaeger_grpc: Some(free), ..settings(place) };
    Collector::start(settings).await.unwrap()
}

async fn post(collector: &Collector, spans: &Value) {
    let body = spans.to_string().into_bytes();
    let (status, body) = send(collector.addresses().zipkin, "POST", "/api/v2/spans", HeaderMap::new(), body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
}

/// Asks on Jaeger's own port, and below `/jaeger` on the dashboard's: both answer the same.
async fn answer(collector: &Collector, path: &str) -> (StatusCode, Value) {
    let (status, body) = get(collector.addresses().jaeger_query.unwrap(), path).await;
    let below = get(collector.addresses().dashboard, &format!("/jaeger{path}")).await;
    assert_eq!((below.0, &below.1), (status, &body), "{path}");
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

async fn data(collector: &Collector, path: &str) -> Value {
    let (status, mut answer) = answer(collector, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer["data"].take()
}

async fn a_trace_is_told_in_jaegers_words(place: &Place) {
    let collector = start(place).await;
    let at_us = now_us() - 1_000_000;
    let client = span(TRACE, "1", "", "CLIENT", "page", at_us);
    let mut server = span(TRACE, "1", "", "SERVER", "reviews", at_us + 500);
    server["shared"] = true.into();
    server["tags"] = json!({"error": "true"});
    server["annotations"] = json!([{"timestamp": at_us + 700, "value": "cache miss"}]);
    post(&collector, &json!([server, client])).await;
    let (status, mut told) = answer(&collector, "/api/traces/abc?prettyPrint=true").await;
    assert_eq!(status, StatusCode::OK);
    // The id of the half that was taken apart is made up, and what the server hangs from is the client.
    let made_up = told["data"][0]["spans"][1]["spanID"].take();
    assert_ne!(made_up, json!("0000000000000001"));
    let text = |key: &str, value: &str| json!({"key": key, "type": "string", "value": value});
    let expected = json!({
        "data": [{
            "traceID": TRACE,
            "spans": [
                {"traceID": TRACE, "spanID": "0000000000000001", "operationName": "GET /", "references": [],
                    "startTime": at_us, "duration": 4_000,
                    "tags": [text("http.status_code", "200"), text("span.kind", "client")],
                    "logs": [], "processID": "p1", "warnings": null},
                {"traceID": TRACE, "spanID": null, "operationName": "GET /",
                    "references": [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": "0000000000000001"}],
                    "startTime": at_us + 500, "duration": 4_000,
                    "tags": [{"key": "error", "type": "bool", "value": true}, text("otel.status_code", "ERROR"),
                        text("span.kind", "server")],
                    "logs": [{"timestamp": at_us + 700, "fields": [text("event", "cache miss")]}],
                    "processID": "p2", "warnings": null},
            ],
            "processes": {"p1": {"serviceName": "page", "tags": []}, "p2": {"serviceName": "reviews", "tags": []}},
            "warnings": null,
        }],
        "total": 0, "limit": 0, "offset": 0, "errors": null,
    });
    assert_eq!(told, expected);
    let raw = data(&collector, "/api/traces/abc?raw=true").await;
    assert_eq!(raw[0]["spans"][1]["spanID"], "0000000000000001");

    let (_, services) = answer(&collector, "/api/services").await;
    assert_eq!((&services["data"], &services["total"]), (&json!(["page", "reviews"]), &json!(2)));
    assert_eq!(data(&collector, "/api/services/reviews/operations").await, json!(["GET /"]));
    let operations = json!([{"name": "GET /", "spanKind": "server"}]);
    assert_eq!(data(&collector, "/api/operations?service=reviews").await, operations);
    assert_eq!(data(&collector, "/api/operations?service=reviews&spanKind=client").await, json!([]));
    assert_eq!(data(&collector, "/api/services/nobody/operations").await, json!([]));
    collector.shutdown().await;
}

async fn searches_are_narrowed(place: &Place) {
    let collector = start(place).await;
    let at_us = now_us() - 10_000_000;
    for (number, duration_us) in [(1, 500), (2, 5_000), (3, 50_000)] {
        let mut one = span(&format!("{number}"), "1", "", "SERVER", "page", at_us + number * 1000);
        one["duration"] = duration_us.into();
        one["tags"] = json!({"number": number.to_string()});
        if number == 2 {
            one["tags"]["error"] = "true".into();
        }
        post(&collector, &json!([one, span(&format!("{number}"), "2", "1", "CLIENT", "page", at_us + number * 1000)])).await;
    }
    let searches = [
        (String::new(), vec!["3", "2", "1"]),
        ("&limit=2".to_owned(), vec!["3", "2"]),
        ("&minDuration=5ms".to_owned(), vec!["3", "2"]),
        ("&minDuration=4.5ms&maxDuration=10ms".to_owned(), vec!["2"]),
        ("&tags=%7B%22number%22%3A%223%22%7D".to_owned(), vec!["3"]),
        ("&tag=number:1".to_owned(), vec!["1"]),
        ("&tag=error:true".to_owned(), vec!["2"]),
        ("&tag=span.kind:server&tag=number:2".to_owned(), vec!["2"]),
        // Not in one span.
        ("&tag=span.kind:client&tag=number:2".to_owned(), vec![]),
        ("&tag=span.kind:consumer".to_owned(), vec![]),
        ("&tag=otel.status_code:ERROR".to_owned(), vec!["2"]),
        ("&operation=GET%20%2F".to_owned(), vec!["3", "2", "1"]),
        ("&operation=other".to_owned(), vec![]),
        (format!("&start={}&end={}", at_us + 2_000, at_us + 2_000), vec!["2"]),
    ];
    for (search, expected) in searches {
        let found = data(&collector, &format!("/api/traces?service=page{search}")).await;
        let ids: Vec<String> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|trace| trace["traceID"].as_str().unwrap().trim_start_matches('0').to_owned())
            .collect();
        assert_eq!(ids, expected, "{search}");
    }
    let (status, by_id) = answer(&collector, "/api/traces?traceID=2&traceID=7").await;
    assert_eq!((status, by_id["data"].as_array().unwrap().len()), (StatusCode::OK, 1));
    assert_eq!(by_id["errors"], json!([{"msg": "trace not found", "traceID": "0000000000000007"}]));
    collector.shutdown().await;
}

/// By the ids of spans: name, and start in nanoseconds.
fn facts(data: &[TracesData]) -> Vec<(Vec<u8>, String, u64)> {
    let scopes = data.iter().flat_map(|data| &data.resource_spans).flat_map(|resource| &resource.scope_spans);
    let fact =
        |span: &opentelemetry_proto::tonic::trace::v1::Span| (span.span_id.clone(), span.name.clone(), span.start_time_unix_nano);
    let mut facts: Vec<_> = scopes.flat_map(|scope| &scope.spans).map(fact).collect();
    facts.sort();
    facts
}

async fn the_versions_agree(place: &Place) {
    let collector = start(place).await;
    let at_us = now_us() - 1_000_000;
    let spans: Vec<Value> = (1..=250)
        .map(|id| span(TRACE, &format!("{id:x}"), if id == 1 { "" } else { "1" }, "SERVER", "page", at_us + id))
        .collect();
    post(&collector, &json!(spans)).await;
    let expected: Vec<(Vec<u8>, String, u64)> =
        (1..=250u64).map(|id| (id.to_be_bytes().to_vec(), "GET /".to_owned(), (at_us as u64 + id) * 1000)).collect();
    let (_, over_http) = answer(&collector, "/api/v3/traces/abc").await;
    let over_http: TracesData = serde_json::from_value(over_http["result"].clone()).unwrap();
    assert_eq!(facts(&[over_http]), expected);
    let times = "query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z";
    let (_, found) = answer(&collector, &format!("/api/v3/traces?query.service_name=page&{times}")).await;
    assert_eq!(facts(&[serde_json::from_value(found["result"].clone()).unwrap()]), expected);
    let (_, services) = answer(&collector, "/api/v3/services").await;
    assert_eq!(services, json!({"services": ["page"]}));
    let (_, operations) = answer(&collector, "/api/v3/operations?service=page").await;
    assert_eq!(operations, json!({"operations": [{"name": "GET /", "spanKind": "server"}]}));

    // On both ports.
    for address in [collector.addresses().jaeger_grpc.unwrap(), collector.addresses().jaeger_query.unwrap()] {
        let by_id = proto::TraceRequestV3 { trace_id: "abc".to_owned(), raw_traces: false };
        assert_eq!(facts(&ask::<TracesData>(address, &format!("{V3}/GetTrace"), &by_id).await), expected);
        let timestamp = |us: i64| Some(prost_types::Timestamp { seconds: us / 1_000_000, nanos: 0 });
        let query = proto::QueryParameters {
            service_name: "page".to_owned(),
            start_time_min: timestamp(at_us - 2_000_000),
            start_time_max: timestamp(at_us + 2_000_000),
            ..proto::QueryParameters::default()
        };
        let find = proto::FindRequest { query: Some(query) };
        assert_eq!(facts(&ask::<TracesData>(address, &format!("{V3}/FindTraces"), &find).await), expected);
        for (path, request) in [
            ("GetTrace", proto::TraceRequest { trace_id: [&[0; 14][..], &[0x0a, 0xbc]].concat(), raw_traces: true }.into()),
            ("FindTraces", Request::Find(find)),
        ] {
            let chunks: Vec<proto::SpansChunk> = match request {
                Request::Trace(request) => ask(address, &format!("{V2}/{path}"), &request).await,
                Request::Find(request) => ask(address, &format!("{V2}/{path}"), &request).await,
            };
            assert_eq!(chunks.iter().map(|chunk| chunk.spans.len()).collect::<Vec<_>>(), [100, 100, 50], "{path}");
            let first = &chunks[0].spans[0];
            assert_eq!((first.span_id.as_slice(), first.operation_name.as_str()), (&1u64.to_be_bytes()[..], "GET /"));
            assert_eq!(first.process.as_ref().unwrap().service_name, "page");
            assert_eq!(first.duration, Some(prost_types::Duration { seconds: 0, nanos: 4_000_000 }));
            let kinds: Vec<_> = first.tags.iter().map(|tag| (tag.key.as_str(), tag.v_str.as_str())).collect();
            assert_eq!(kinds, [("http.status_code", "200"), ("span.kind", "server")]);
        }
        let services: Vec<proto::Services> = ask(address, &format!("{V2}/GetServices"), &proto::Nothing {}).await;
        assert_eq!(services[0].services, ["page"]);
        let request = proto::OperationsRequest { service: "page".to_owned(), span_kind: String::new() };
        let operations: Vec<proto::Operations> = ask(address, &format!("{V2}/GetOperations"), &request).await;
        assert_eq!(operations[0].operation_names, ["GET /"]);
        let operation = proto::Operation { name: "GET /".to_owned(), span_kind: "server".to_owned() };
        assert_eq!(operations[0].operations, [operation]);
    }
    let address = collector.addresses().jaeger_grpc.unwrap();
    for (path, request, status) in [
        (format!("{V2}/GetTrace"), proto::TraceRequest { trace_id: vec![7; 16], raw_traces: false }, "5"),
        (format!("{V2}/GetTrace"), proto::TraceRequest::default(), "3"),
        (format!("{V2}/GetTrace"), proto::TraceRequest { trace_id: vec![7; 3], raw_traces: false }, "3"),
        (format!("{V2}/FindTraces"), proto::TraceRequest::default(), "3"),
        (format!("{V2}/ArchiveTrace"), proto::TraceRequest { trace_id: vec![7; 16], raw_traces: false }, "5"),
        (format!("{V3}/FindTraces"), proto::TraceRequest::default(), "3"),
        (format!("{V2}/GetDependencies"), proto::TraceRequest::default(), "3"),
    ] {
        assert_eq!(call(address, &path, &HeaderMap::new(), &request).await.0, status, "{path}");
    }
    collector.shutdown().await;
}

enum Request {
    Trace(proto::TraceRequest),
    Find(proto::FindRequest),
}

impl From<proto::TraceRequest> for Request {
    fn from(request: proto::TraceRequest) -> Self {
        Self::Trace(request)
    }
}

async fn dependencies_are_exact(place: &Place) {
    let collector = start(place).await;
    for number in 1..=20u32 {
        let spans = exchange(&format!("a{number:x}"), "page", "reviews", number % 5 == 0);
        // Halves in either order, together and apart, and sent twice.
        post(&collector, &json!([spans[number as usize % 2]])).await;
        post(&collector, &json!([spans[0], spans[1]])).await;
        post(&collector, &json!([spans[0], spans[1]])).await;
    }
    for number in 1..=3u32 {
        post(&collector, &json!(exchange(&format!("b{number:x}"), "reviews", "ratings", false))).await;
    }
    // A service that calls itself depends on nobody else.
    post(&collector, &json!(exchange("c1", "page", "page", false))).await;
    let jaeger = json!([
        {"parent": "page", "child": "reviews", "callCount": 20},
        {"parent": "reviews", "child": "ratings", "callCount": 3},
    ]);
    let end_ms = now_us() / 1000;
    assert_eq!(data(&collector, &format!("/api/dependencies?endTs={end_ms}&lookback=3600000")).await, jaeger);
    assert_eq!(data(&collector, "/api/dependencies?service=ratings").await, json!([jaeger[1]]));
    assert_eq!(data(&collector, "/api/dependencies?endTs=1600000000000&lookback=3600000").await, json!([]));
    let (status, zipkin) = get(collector.addresses().zipkin, &format!("/api/v2/dependencies?endTs={end_ms}")).await;
    let expected = json!([
        {"parent": "page", "child": "reviews", "callCount": 20, "errorCount": 4},
        {"parent": "reviews", "child": "ratings", "callCount": 3},
    ]);
    assert_eq!((status, serde_json::from_str::<Value>(&zipkin).unwrap()), (StatusCode::OK, expected));
    let timestamp = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = proto::DependenciesRequest { start_time: timestamp(0), end_time: timestamp(end_ms / 1000 + 60) };
    let address = collector.addresses().jaeger_grpc.unwrap();
    let answers: Vec<proto::Dependencies> = ask(address, &format!("{V2}/GetDependencies"), &request).await;
    let calls: Vec<_> = answers[0].dependencies.iter().map(|link| (link.parent.as_str(), link.call_count)).collect();
    assert_eq!(calls, [("page", 20), ("reviews", 3)]);
    collector.shutdown().await;
}

async fn an_archived_trace_outlives_retention(place: &Place) {
    let collector = start(place).await;
    let address = collector.addresses().jaeger_query.unwrap();
    post(&collector, &json!(exchange("abc", "page", "reviews", false))).await;
    post(&collector, &json!(exchange("def", "page", "reviews", false))).await;
    let before = data(&collector, "/api/traces/abc").await;
    for _ in 0..2 {
        let (status, body) = send(address, "POST", "/api/archive/abc", HeaderMap::new(), Vec::new()).await;
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, answer), (StatusCode::OK, json!({"data": [], "total": 0, "limit": 0, "offset": 0, "errors": []})));
    }
    assert_eq!(data(&collector, "/api/traces/abc").await, before, "each span once");
    let later_ms = sidelight_collector::clock::now_ms() + 30 * 86_400_000;
    collector.store().drop_old(&Retention::default(), later_ms).await.unwrap();
    assert_eq!(data(&collector, "/api/traces/abc").await, before);
    assert_eq!(answer(&collector, "/api/traces/def").await.0, StatusCode::NOT_FOUND);
    assert_eq!(data(&collector, "/api/dependencies").await, json!([]));
    let (status, _) = send(address, "POST", "/api/archive/def", HeaderMap::new(), Vec::new()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    collector.shutdown().await;
}

async fn a_full_archive_says_so(place: &Place) {
    let archive = ArchiveLimits { traces: 1, bytes: 1_000_000 };
    let collector = Collector::start(Settings { archive, ..settings(place) }).await.unwrap();
    for trace in ["abc", "def"] {
        post(&collector, &json!(exchange(trace, "page", "reviews", false))).await;
    }
    let keep = async |trace: &str| {
        let path = format!("/jaeger/api/archive/{trace}");
        send(collector.addresses().dashboard, "POST", &path, HeaderMap::new(), Vec::new()).await
    };
    assert_eq!(keep("abc").await.0, StatusCode::OK);
    let (status, body) = keep("def").await;
    assert_eq!((status, body.contains("the archive is full")), (StatusCode::INSUFFICIENT_STORAGE, true), "{body}");
    assert_eq!(keep("abc").await.0, StatusCode::OK, "what is there may be renewed");
    collector.shutdown().await;
}

async fn bad_questions_are_told_what_is_wrong(place: &Place) {
    let collector = start(place).await;
    for (path, status, message) in [
        ("/api/traces/xyz", 400, r#"strconv.ParseUint: parsing "xyz": invalid syntax"#),
        ("/api/traces/abc", 404, "trace not found"),
        ("/api/traces/abc?raw=maybe", 400, r#"unable to parse param 'raw': strconv.ParseBool: parsing "maybe": invalid syntax"#),
        ("/api/traces", 400, "parameter 'service' is required"),
        ("/api/operations", 400, "parameter 'service' is required"),
        ("/api/traces?service=x&tag=y", 400, "malformed 'tag' parameter, expecting key:value, received: y"),
        ("/api/dependencies?endTs=now", 400, r#"unable to parse param 'endTs': strconv.ParseInt: parsing "now": invalid syntax"#),
        ("/api/metrics/calls?service=x", 501, "metrics querying is currently disabled"),
        ("/api/nothing", 404, "there is no endpoint /api/nothing"),
    ] {
        let (found, body) = answer(&collector, path).await;
        let expected = json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": status, "msg": message}]});
        assert_eq!((found.as_u16(), body), (status, expected), "{path}");
    }
    let times = "query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z";
    for (path, status) in [
        ("/api/v3/traces/xyz".to_owned(), 400),
        ("/api/v3/traces/abc".to_owned(), 404),
        ("/api/v3/traces?query.service_name=x".to_owned(), 400),
        (format!("/api/v3/traces?query.service_name=x&{times}"), 404),
        (format!("/api/v3/traces?query.duration_min=x&{times}"), 400),
        ("/api/v3/operations".to_owned(), 400),
    ] {
        let (found, body) = answer(&collector, &path).await;
        assert_eq!((found.as_u16(), &body["error"]["httpCode"]), (status, &json!(status)), "{path}: {body}");
        assert!(body["error"]["message"].is_string());
    }
    collector.shutdown().await;
}

async fn ten_thousand_spans_are_one_answer(place: &Place) {
    let collector = start(place).await;
    let at_us = now_us() - 60_000_000;
    for part in 0..10 {
        let ids = (part * 1000 + 1)..=(part * 1000 + 1000);
        let spans: Vec<Value> =
            ids.map(|id| span(TRACE, &format!("{id:x}"), if id == 1 { "" } else { "1" }, "SERVER", "page", at_us + id)).collect();
        post(&collector, &json!(spans)).await;
    }
    let trace = data(&collector, "/api/traces/abc").await;
    assert_eq!(trace[0]["spans"].as_array().unwrap().len(), 10_000);
    assert_eq!(trace[0]["warnings"], Value::Null);
    let found = data(&collector, "/api/traces?service=page").await;
    assert_eq!(found[0]["spans"].as_array().unwrap().len(), 10_000);
    collector.shutdown().await;
}

async fn reading_needs_the_login(place: &Place) {
    let token = "a-token-of-the-tests-0123456789";
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let auth = AuthSettings::Token(Token::new(token));
    let collector = Collector::start(Settings { auth, jaeger_query: Some(free), ..settings(place) }).await.unwrap();
    let (dashboard, query) = (collector.addresses().dashboard, collector.addresses().jaeger_query.unwrap());
    assert_eq!(get(dashboard, "/jaeger/api/services").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(get(query, "/api/services").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(get(dashboard, "/jaeger/api/nothing").await.0, StatusCode::UNAUTHORIZED);
    let services = format!("{V2}/GetServices");
    assert_eq!(call(query, &services, &HeaderMap::new(), &proto::Nothing {}).await.0, "HTTP 401");
    let bearer = HeaderMap::from_iter([(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
    assert_eq!(send(query, "GET", "/api/services", bearer.clone(), Vec::new()).await.0, StatusCode::OK);
    eventually("gRPC is let in", async || call(query, &services, &bearer, &proto::Nothing {}).await.0 == "0").await;
    collector.shutdown().await;
}
