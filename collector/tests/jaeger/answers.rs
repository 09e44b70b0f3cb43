//! The same spans in a real Jaeger and in the collector, the same questions to both, and the answers field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use http::HeaderMap;
use prost::Message;
use prost_types::Timestamp;
use serde_json::{Map, Value, json};
use sidelight_collector::Collector;
use sidelight_collector::clock::now_ms;
use sidelight_collector::export::Destination;
use sidelight_collector::web::jaeger::proto;

use super::api::{Api, encoded};
use super::process::Jaeger;
use super::support::grpc::{ask, call};
use super::support::place::Place;
use super::support::running::{eventually, send as post};
use super::{TRACES, client, collector, expected, generated, send};

const V2: &str = "/jaeger.api_v2.QueryService";
const V3: &str = "/jaeger.api_v3.QueryService";

/// A Jaeger and a collector that sends it all that it stores.
async fn both() -> (Jaeger, Place, Collector, Api) {
    let jaeger = Jaeger::start().await;
    let place = Place::sqlite();
    let url = format!("http://{}", jaeger.otlp_grpc);
    let collector = collector(&place, |export| export.otlp = Some(client(Destination::otlp(&url)))).await;
    let ours = Api::new(collector.addresses().dashboard, "/jaeger");
    (jaeger, place, collector, ours)
}

fn sorted(values: &Value) -> Vec<String> {
    let mut all: Vec<String> = values.as_array().unwrap().iter().map(Value::to_string).collect();
    all.sort();
    all
}

/// Names of the fields, wherever they are.
fn fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            // Names of processes are not fields.
            let key = if path.ends_with(".processes") { "p" } else { key };
            into.insert(format!("{path}.{key}"));
            fields(inner, &format!("{path}.{key}"), into);
        }),
        Value::Array(list) => list.iter().for_each(|inner| fields(inner, path, into)),
        _ => {}
    }
}

fn fields_of(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    fields(value, "", &mut all);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_classic_api_answers_as_jaeger_does() {
    let (jaeger, _place, collector, ours) = both().await;
    let traces = generated::traces(11, TRACES);
    send(&collector, &jaeger, &traces).await;
    assert_eq!(ours.services().await, jaeger.services().await);
    for service in expected::services(&traces) {
        assert_eq!(ours.operations(&service).await, jaeger.operations(&service).await, "{service}");
        let path = format!("/api/operations?service={}", encoded(&service));
        let (of_ours, of_jaeger) = (ours.data(&path).await.unwrap(), jaeger.data(&path).await.unwrap());
        assert_eq!(sorted(&of_ours), sorted(&of_jaeger), "{service}");
    }
    let mut compared = 0;
    for spans in &traces {
        let id = expected::trace_id(&spans[0]);
        for query in ["", "?raw=true"] {
            let path = format!("/api/traces/{id}{query}");
            let ((_, of_ours), (_, of_jaeger)) = (ours.ask(&path).await, jaeger.ask(&path).await);
            assert_eq!(fields_of(&of_ours), fields_of(&of_jaeger), "{path}");
            let (told, wanted) = (expected::normalised(&of_ours["data"][0]), expected::normalised(&of_jaeger["data"][0]));
            assert_eq!(told, wanted, "{path}");
            compared += told.len();
        }
    }
    println!("{compared} spans are told as Jaeger tells them");
    // What somebody has in a file is shown in the same way.
    let file = sidelight_collector::export::otlp::request(traces.concat());
    let file = serde_json::to_vec(&file).unwrap();
    let (of_ours, of_jaeger) = (ours.transform(&file).await, jaeger.transform(&file).await);
    let by_trace = |answer: &Value| -> BTreeMap<String, BTreeMap<String, Value>> {
        let told = answer["data"].as_array().unwrap().iter();
        told.map(|trace| (trace["traceID"].to_string(), expected::normalised(trace))).collect()
    };
    assert_eq!(by_trace(&of_ours).len(), traces.len());
    assert_eq!(by_trace(&of_ours), by_trace(&of_jaeger));
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_find_what_jaeger_finds() {
    let (jaeger, _place, collector, ours) = both().await;
    let traces = generated::traces(12, TRACES);
    send(&collector, &jaeger, &traces).await;
    let (mut searches, mut found) = (0, 0);
    for service in expected::services(&traces) {
        let operation = expected::operations(&traces, &service)[0].clone();
        let questions: Vec<Vec<(&str, String)>> = vec![
            vec![],
            vec![("operation", operation.clone())],
            vec![("minDuration", "2.5s".to_owned())],
            vec![("minDuration", "1s".to_owned()), ("maxDuration", "2s".to_owned()), ("operation", operation)],
            vec![("tags", json!({"error": "true"}).to_string())],
            vec![("tags", json!({"http.status_code": "503"}).to_string())],
            vec![("tag", "http.status_code:404".to_owned()), ("tag", "span.kind:client".to_owned())],
            vec![("tag", "cached:true".to_owned()), ("tag", "http.status_code:503".to_owned())],
            vec![("tag", "k8s.pod.name:pod-1".to_owned())],
            vec![("tag", "process.pid:4711".to_owned()), ("tag", "error:true".to_owned())],
            vec![("tag", "exception.type:io.Timeout".to_owned())],
            vec![("tag", "attempt:2".to_owned())],
            vec![("tag", "no.such:thing".to_owned())],
        ];
        for question in questions {
            let mut parameters = vec![("service", service.as_str())];
            parameters.extend(question.iter().map(|(name, value)| (*name, value.as_str())));
            let wanted = jaeger.search(&parameters).await;
            assert_eq!(ours.search(&parameters).await, wanted, "{parameters:?}");
            searches += 1;
            found += wanted.len();
        }
    }
    println!("{searches} searches find the same {found} traces");
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_questions_are_answered_as_jaeger_does() {
    let (jaeger, _place, collector, ours) = both().await;
    for path in [
        "/api/traces",
        "/api/traces?service=x&start=soon",
        "/api/traces?service=x&end=1.5",
        "/api/traces?service=x&minDuration=5",
        "/api/traces?service=x&minDuration=5x",
        "/api/traces?service=x&maxDuration=abc",
        "/api/traces?service=x&minDuration=2s&maxDuration=1s",
        "/api/traces?service=x&limit=many",
        "/api/traces?service=x&tag=y",
        "/api/traces?service=x&raw=maybe",
        "/api/traces?traceID=xyz",
        "/api/traces?traceID=abc",
        "/api/traces?service=x",
        "/api/traces/xyz",
        "/api/traces/123456789012345678901234567890123",
        "/api/traces/abc",
        "/api/traces/abc?start=x",
        "/api/operations",
        "/api/operations?service=nobody",
        "/api/services/nobody/operations",
        "/api/dependencies?endTs=x",
        "/api/dependencies?endTs=1600000000000&lookback=x",
        "/api/metrics/calls?service=x",
        "/api/metrics/errors?service=x",
    ] {
        let ((status, of_ours), (wanted, of_jaeger)) = (ours.ask(path).await, jaeger.ask(path).await);
        assert_eq!(status, wanted, "{path}: {of_jaeger}");
        assert_eq!(of_ours["errors"], of_jaeger["errors"], "{path}");
    }
    // What cannot be read as JSON is told in other words than Go's.
    let path = "/api/traces?service=x&tags=%7B";
    let ((status, of_ours), (wanted, of_jaeger)) = (ours.ask(path).await, jaeger.ask(path).await);
    let begin = "malformed 'tags' parameter, cannot unmarshal JSON: ";
    assert_eq!(status, wanted);
    for answer in [of_ours, of_jaeger] {
        assert!(answer["errors"][0]["msg"].as_str().unwrap().starts_with(begin), "{answer}");
    }
    for path in ["/api/v3/traces/xyz", "/api/v3/traces/abc", "/api/v3/traces?query.service_name=x"] {
        let ((status, of_ours), (wanted, of_jaeger)) = (ours.ask(path).await, jaeger.ask(path).await);
        assert_eq!(status, wanted, "{path}: {of_jaeger}");
        assert_eq!(of_ours["error"]["httpCode"], of_jaeger["error"]["httpCode"], "{path}");
    }
    collector.shutdown().await;
}

/// Spans of OTLP's JSON by their ids: what they say, without what is zero and without Jaeger's own attributes.
fn by_id(result: &Value) -> BTreeMap<String, Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut spans = BTreeMap::new();
    for resource in list(&result["resourceSpans"]) {
        for scope in list(&resource["scopeSpans"]) {
            for span in list(&scope["spans"]) {
                let told = json!({"resource": attributes(&resource["resource"]["attributes"]), "scope": scope["scope"]["name"],
                    "name": span["name"], "parent": text(&span["parentSpanId"]), "kind": span["kind"],
                    "start": span["startTimeUnixNano"], "end": span["endTimeUnixNano"],
                    "attributes": attributes(&span["attributes"]), "events": list(&span["events"]).len(),
                    "links": list(&span["links"]).len(), "status": span["status"]["code"].as_i64().unwrap_or(0)});
                spans.insert(span["spanId"].as_str().unwrap().to_owned(), told);
            }
        }
    }
    spans
}

/// Compares what both tell. Jaeger's store makes a status of the HTTP status where the sender told none; ours does not.
fn assert_same(told: &Value, wanted: &Value, path: &str) {
    let (told, mut wanted) = (by_id(told), by_id(wanted));
    assert!(!wanted.is_empty(), "{path}");
    for (id, span) in &told {
        if let (0, Some(wanted)) = (span["status"].as_i64().unwrap(), wanted.get_mut(id)) {
            wanted["status"] = json!(0);
        }
    }
    assert_eq!(told, wanted, "{path}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn attributes(list: &Value) -> Map<String, Value> {
    let told = list.as_array().into_iter().flatten().filter(|attribute| !text(&attribute["key"]).starts_with("@jaeger"));
    told.map(|attribute| {
        let value = &attribute["value"];
        // 67.0 is written as 67.
        let value = value["doubleValue"].as_f64().map_or_else(|| value.clone(), |number| json!({"doubleValue": number}));
        // Jaeger's store keeps lists and maps as text.
        let value = match (&value["arrayValue"], &value["kvlistValue"]) {
            (Value::Null, Value::Null) => value,
            (Value::Null, _) => json!({"stringValue": r#"{"k":"v"}"#}),
            _ => json!({"stringValue": r#"["a",7,true]"#}),
        };
        (text(&attribute["key"]).to_owned(), value)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_three_answers_as_jaeger_does() {
    let (jaeger, _place, collector, ours) = both().await;
    let traces = generated::traces(13, 50);
    send(&collector, &jaeger, &traces).await;
    for spans in &traces {
        let path = format!("/api/v3/traces/{}", expected::trace_id(&spans[0]));
        let ((_, of_ours), (_, of_jaeger)) = (ours.ask(&path).await, jaeger.ask(&path).await);
        assert_same(&of_ours["result"], &of_jaeger["result"], &path);
    }
    let service = encoded(&expected::services(&traces)[0]);
    let times = "query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z&query.num_traces=1000";
    for path in [
        format!("/api/v3/traces?query.service_name={service}&{times}"),
        format!("/api/v3/traces?query.service_name={service}&{times}&query.duration_min=2s"),
    ] {
        let ((_, of_ours), (_, of_jaeger)) = (ours.ask(&path).await, jaeger.ask(&path).await);
        assert_same(&of_ours["result"], &of_jaeger["result"], &path);
    }
    for path in ["/api/v3/services".to_owned(), format!("/api/v3/operations?service={service}")] {
        let ((_, of_ours), (_, of_jaeger)) = (ours.ask(&path).await, jaeger.ask(&path).await);
        for list in ["services", "operations"].into_iter().filter(|list| of_jaeger[list].is_array()) {
            assert_eq!(sorted(&of_ours[list]), sorted(&of_jaeger[list]), "{path}");
        }
    }
    collector.shutdown().await;
}

/// The spans of all chunks in an order that does not depend on who sent them, without Jaeger's own tag.
fn spans_of(chunks: Vec<proto::SpansChunk>) -> Vec<proto::Span> {
    let mut spans: Vec<proto::Span> = chunks.into_iter().flat_map(|chunk| chunk.spans).collect();
    for span in &mut spans {
        span.tags.retain(|tag| tag.key != "internal.span.format");
        span.logs.sort_by_key(Message::encode_to_vec);
        // Told of clocks that Jaeger would adjust if it were told to.
        span.warnings.retain(|warning| !warning.starts_with("clock skew adjustment disabled"));
    }
    spans.sort_by(|a, b| (&a.trace_id, &a.span_id).cmp(&(&b.trace_id, &b.span_id)));
    spans
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_answers_as_jaeger_does() {
    let jaeger = Jaeger::start().await;
    let place = Place::sqlite();
    let mut settings = super::settings(&place);
    settings.jaeger_grpc = Some("127.0.0.1:0".parse().unwrap());
    settings.export.batch_delay = std::time::Duration::from_millis(50);
    settings.export.otlp = Some(client(Destination::otlp(&format!("http://{}", jaeger.otlp_grpc))));
    let collector = Collector::start(settings).await.unwrap();
    let traces = generated::traces(14, 50);
    send(&collector, &jaeger, &traces).await;
    let (ours, theirs): (SocketAddr, SocketAddr) = (collector.addresses().jaeger_grpc.unwrap(), jaeger.query_grpc);
    let get = format!("{V2}/GetTrace");
    for spans in &traces {
        let request = proto::TraceRequest { trace_id: spans[0].trace_id.to_vec(), raw_traces: false };
        let (told, wanted) = (ask(ours, &get, &request).await, ask(theirs, &get, &request).await);
        assert_eq!(spans_of(told), spans_of(wanted));
    }
    let service = expected::services(&traces)[0].clone();
    let timestamp = |ms: i64| Some(Timestamp { seconds: ms / 1000, nanos: 0 });
    let query = proto::QueryParameters {
        service_name: service.clone(),
        start_time_min: timestamp(now_ms() - 3_600_000),
        start_time_max: timestamp(now_ms() + 3_600_000),
        search_depth: 500,
        ..proto::QueryParameters::default()
    };
    let request = proto::FindRequest { query: Some(query) };
    let find = format!("{V2}/FindTraces");
    let (told, wanted) = (ask(ours, &find, &request).await, ask(theirs, &find, &request).await);
    assert_eq!(spans_of(told), spans_of(wanted));
    let request = proto::OperationsRequest { service, span_kind: "server".to_owned() };
    let operations = async |address: SocketAddr| -> Vec<proto::Operation> {
        let mut answers: Vec<proto::Operations> = ask(address, &format!("{V2}/GetOperations"), &request).await;
        let mut operations = answers.remove(0).operations;
        operations.sort_by(|a, b| a.name.cmp(&b.name));
        operations
    };
    assert_eq!(operations(ours).await, operations(theirs).await);
    for version in [V2, V3] {
        let path = format!("{version}/GetServices");
        let services = async |address: SocketAddr| -> Vec<String> {
            let mut answers: Vec<proto::Services> = ask(address, &path, &proto::Nothing {}).await;
            let mut services = answers.remove(0).services;
            services.sort();
            services
        };
        assert_eq!(services(ours).await, services(theirs).await);
    }
    for request in [proto::TraceRequest::default(), proto::TraceRequest { trace_id: vec![9; 16], raw_traces: false }] {
        let (told, wanted) =
            (call(ours, &get, &HeaderMap::new(), &request).await, call(theirs, &get, &HeaderMap::new(), &request).await);
        assert_eq!(told.0, wanted.0);
    }
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependencies_are_those_of_jaeger() {
    let (jaeger, _place, collector, ours) = both().await;
    let at_us = now_ms() * 1000;
    // A chain of calls: each service is called, and calls the next one.
    for number in 0..30u64 {
        let services = ["page", "reviews", "ratings", "mysql"];
        let services = &services[..2 + (number % 3) as usize];
        let mut spans = Vec::new();
        for (place, pair) in services.windows(2).enumerate() {
            let id = 2 * place as u64 + 1;
            for (kind, id, service) in [("CLIENT", id, pair[0]), ("SERVER", id + 1, pair[1])] {
                let mut span = json!({"traceId": format!("{:016x}", number + 1), "id": format!("{id:016x}"), "kind": kind,
                    "name": "GET /", "timestamp": at_us - 1_000_000 + id as i64 * 10, "duration": 1000,
                    "localEndpoint": {"serviceName": service}});
                if id > 1 {
                    span["parentId"] = format!("{:016x}", id - 1).into();
                }
                spans.push(span);
            }
        }
        let body = Value::from(spans).to_string().into_bytes();
        let answer = post(collector.addresses().zipkin, "POST", "/api/v2/spans", HeaderMap::new(), body).await;
        assert_eq!(answer.0, 202);
    }
    let links = async |api: &Api| -> Vec<String> {
        let links = api.data("/api/dependencies?lookback=3600000").await.unwrap();
        // Jaeger counts what happens inside a service as a call of itself.
        let others = links.as_array().unwrap().iter().filter(|link| link["parent"] != link["child"]).cloned();
        sorted(&Value::Array(others.collect()))
    };
    let told = links(&ours).await;
    assert_eq!(told.len(), 3, "{told:?}");
    eventually("Jaeger has all calls", async || links(&jaeger).await == told).await;
    collector.shutdown().await;
}
