//! Spans through Zipkin's door: taken once, judged one by one, found again.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sidelight_api::ingest::IngestReport;
use sidelight_collector::Collector;
use support::place::Place;
use support::running::{get, send, settings};

on_both!(
    a_trace_comes_back_and_a_retry_adds_nothing,
    a_foreign_page_neither_writes_nor_reads,
    bad_spans_are_refused_one_by_one,
    bad_bodies_are_refused_and_counted,
    older_and_smaller_spellings_are_taken,
    searches_find_traces,
    queries_are_complete,
);

fn span(trace: &str, id: &str, service: &str, at_us: i64) -> Value {
    json!({"traceId": trace, "id": id, "kind": "SERVER", "name": format!("{service}:9080/*"), "timestamp": at_us,
        "duration": 4085, "localEndpoint": {"serviceName": service, "ipv4": "192.0.2.2"},
        "tags": {"component": "proxy", "http.status_code": "200"}})
}

fn now_us() -> i64 {
    sidelight_collector::clock::now_ms() * 1000
}

async fn post(address: SocketAddr, body: &Value) -> (StatusCode, String) {
    send(address, "POST", "/api/v2/spans", HeaderMap::new(), body.to_string().into_bytes()).await
}

async fn answer(address: SocketAddr, path: &str) -> Value {
    let (status, body) = get(address, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

async fn counts(collector: &Collector) -> IngestReport {
    let report = answer(collector.addresses().dashboard, "/api/ingest").await;
    serde_json::from_value(report).unwrap()
}

async fn a_trace_comes_back_and_a_retry_adds_nothing(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let zipkin = collector.addresses().zipkin;
    let trace = "ab8e2714957101074c7005224e6fd502";
    let spans = json!([
        span(trace, "4c7005224e6fd502", "productpage.bookinfo", now_us()),
        span(trace, "ae0b44695368b649", "reviews.bookinfo", now_us() + 5)
    ]);
    assert_eq!(post(zipkin, &spans).await, (StatusCode::ACCEPTED, String::new()));
    assert_eq!(post(zipkin, &spans).await.0, StatusCode::ACCEPTED);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(spans.to_string().as_bytes()).unwrap();
    let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
    let sent = send(zipkin, "POST", "/api/v2/spans", headers, gzip.finish().unwrap()).await;
    assert_eq!(sent.0, StatusCode::ACCEPTED);
    assert_eq!(answer(zipkin, &format!("/api/v2/trace/{trace}")).await, spans);
    // On the dashboard's port as well.
    assert_eq!(answer(collector.addresses().dashboard, &format!("/api/v2/trace/{trace}")).await, spans);
    let door = &counts(&collector).await.doors[0];
    assert_eq!((door.received, door.stored, door.refused["duplicate"]), (6, 2, 4));
    collector.shutdown().await;
}

async fn a_foreign_page_neither_writes_nor_reads(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let zipkin = collector.addresses().zipkin;
    let header =
        |name: http::HeaderName, value: &'static str| HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))]);
    let spans = || json!([span("1", "2", "a", now_us())]).to_string().into_bytes();
    let posted = send(zipkin, "POST", "/api/v2/spans", header(http::header::ORIGIN, "http://evil.example"), spans()).await;
    assert_eq!(posted.0, StatusCode::FORBIDDEN);
    let read = send(zipkin, "GET", "/api/v2/traces", header(http::header::HOST, "evil.example"), Vec::new()).await;
    assert_eq!(read.0, StatusCode::FORBIDDEN);
    // A proxy calls the door by the name that its own configuration gives it.
    let sent = send(zipkin, "POST", "/api/v2/spans", header(http::header::HOST, "zipkin.istio-system"), spans()).await;
    assert_eq!(sent.0, StatusCode::ACCEPTED);
    collector.shutdown().await;
}

async fn bad_spans_are_refused_one_by_one(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let zipkin = collector.addresses().zipkin;
    let mixed = json!([span("1", "2", "a", now_us()), span("0", "3", "a", now_us()), 7, span("1", "4", "a", 1)]);
    assert_eq!(post(zipkin, &mixed).await.0, StatusCode::ACCEPTED);
    assert_eq!(answer(zipkin, "/api/v2/trace/0000000000000001").await.as_array().unwrap().len(), 1);
    let (status, reason) = post(zipkin, &json!([{"traceId": "x"}])).await;
    assert_eq!((status, reason.as_str()), (StatusCode::BAD_REQUEST, "no span was taken: 1 bad_trace_id"));
    assert_eq!(post(zipkin, &json!([])).await.0, StatusCode::ACCEPTED);
    let door = &counts(&collector).await.doors[0];
    assert_eq!((door.received, door.stored), (5, 1));
    let refused: Vec<_> = door.refused.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(refused, [("bad_span", 1), ("bad_trace_id", 2), ("too_old", 1)]);
    collector.shutdown().await;
}

async fn bad_bodies_are_refused_and_counted(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let zipkin = collector.addresses().zipkin;
    let (status, reason) = post(zipkin, &json!({"traceId": "1"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(reason.starts_with("expected a JSON array of spans: "), "{reason}");
    let large = vec![b' '; 5 * 1024 * 1024 + 1];
    let sent = send(zipkin, "POST", "/api/v2/spans", HeaderMap::new(), large.clone()).await;
    assert_eq!(sent.0, StatusCode::PAYLOAD_TOO_LARGE);
    // A small body that would unpack into a large one.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&large).unwrap();
    let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
    let sent = send(zipkin, "POST", "/api/v2/spans", headers, gzip.finish().unwrap()).await;
    assert_eq!(sent.0, StatusCode::PAYLOAD_TOO_LARGE);
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, "application/x-thrift".parse().unwrap())]);
    let sent = send(zipkin, "POST", "/api/v1/spans", headers, vec![12, 0]).await;
    assert_eq!(sent.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let door = &counts(&collector).await.doors[0];
    assert_eq!((door.received, door.stored), (4, 0));
    let refused: Vec<_> = door.refused.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(refused, [("body_too_large", 2), ("undecodable", 1), ("unsupported_encoding", 1)]);
    collector.shutdown().await;
}

async fn older_and_smaller_spellings_are_taken(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let zipkin = collector.addresses().zipkin;
    let at = |value: &str| json!({"timestamp": now_us(), "value": value, "endpoint": {"serviceName": "old"}});
    let old = json!([{"traceId": "a1", "id": "1", "name": "get", "annotations": [at("sr"), at("ss")]}]);
    let sent = send(zipkin, "POST", "/api/v1/spans", HeaderMap::new(), old.to_string().into_bytes()).await;
    assert_eq!(sent.0, StatusCode::ACCEPTED);
    let found = answer(zipkin, "/api/v2/trace/a1").await;
    assert_eq!((&found[0]["kind"], &found[0]["localEndpoint"]["serviceName"]), (&json!("SERVER"), &json!("old")));

    // A list of one span with a trace id, an id, a name and a time.
    let mut span = vec![0x0a, 8, 0, 0, 0, 0, 0, 0, 0, 0xb2, 0x1a, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0x2a, 3, b'p', b'u', b't', 0x31];
    span.extend(now_us().to_le_bytes());
    let list = [vec![0x0a, span.len() as u8], span].concat();
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, "application/x-protobuf".parse().unwrap())]);
    assert_eq!(send(zipkin, "POST", "/api/v2/spans", headers, list).await.0, StatusCode::ACCEPTED);
    assert_eq!(answer(zipkin, "/api/v2/trace/b2").await[0]["name"], "put");
    collector.shutdown().await;
}

async fn searches_find_traces(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let zipkin = collector.addresses().zipkin;
    let mut failed = span("2", "1", "reviews.bookinfo", now_us());
    failed["tags"]["error"] = json!("true");
    let spans = json!([span("1", "1", "ratings.bookinfo", now_us() - 1_000_000), failed]);
    assert_eq!(post(zipkin, &spans).await.0, StatusCode::ACCEPTED);
    assert_eq!(answer(zipkin, "/api/v2/services").await, json!(["ratings.bookinfo", "reviews.bookinfo"]));
    assert_eq!(answer(zipkin, "/api/v2/spans?serviceName=ratings.bookinfo").await, json!(["ratings.bookinfo:9080/*"]));
    let ids = async |query: &str| -> Vec<String> {
        let traces = answer(zipkin, &format!("/api/v2/traces?{query}")).await;
        let traces = traces.as_array().unwrap().clone();
        traces.iter().map(|trace| trace[0]["traceId"].as_str().unwrap().trim_start_matches('0').to_owned()).collect()
    };
    assert_eq!(ids("").await, ["2", "1"]);
    assert_eq!(ids("limit=1").await, ["2"]);
    assert_eq!(ids("serviceName=ratings.bookinfo&spanName=ratings.bookinfo:9080/*").await, ["1"]);
    assert_eq!(ids("annotationQuery=error%20and%20http.status_code%3D200").await, ["2"]);
    assert_eq!(ids("minDuration=5000").await, [""; 0]);
    assert_eq!(ids("endTs=1000").await, [""; 0]);
    assert_eq!(get(zipkin, "/api/v2/traces?maxDuration=1").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(get(zipkin, "/api/v2/spans").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(get(zipkin, "/api/v2/trace/77").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(zipkin, "/api/v2/trace/no").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(answer(zipkin, "/health").await, json!({"status": "UP"}));
    collector.shutdown().await;
}

async fn queries_are_complete(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let zipkin = collector.addresses().zipkin;
    let mut client = span("1", "1", "page", now_us());
    client["kind"] = "CLIENT".into();
    client["remoteEndpoint"] = json!({"serviceName": "mysql"});
    assert_eq!(post(zipkin, &json!([client, span("2", "2", "reviews", now_us())])).await.0, StatusCode::ACCEPTED);
    assert_eq!(answer(zipkin, "/api/v2/remoteServices?serviceName=page").await, json!(["mysql"]));
    assert_eq!(answer(zipkin, "/api/v2/remoteServices?serviceName=reviews").await, json!([]));
    assert_eq!(answer(zipkin, "/api/v2/autocompleteKeys").await, json!([]));
    assert_eq!(answer(zipkin, "/api/v2/autocompleteValues?key=environment").await, json!([]));
    let many = answer(zipkin, "/api/v2/traceMany?traceIds=2,1,7").await;
    let ids: Vec<&str> = many.as_array().unwrap().iter().map(|trace| trace[0]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["0000000000000002", "0000000000000001"]);
    for path in [
        "traceMany?traceIds=1",
        "traceMany?traceIds=1,1",
        "traceMany",
        "dependencies",
        "dependencies?endTs=0",
        "dependencies?endTs=x",
        "dependencies?endTs=1&lookback=0",
        "remoteServices",
        "autocompleteValues",
        "traces?limit=0",
        "traces?minDuration=5&maxDuration=1",
        "traces?maxDuration=1",
        "traces?limit=-1",
        "trace/xyz",
    ] {
        assert_eq!(get(zipkin, &format!("/api/v2/{path}")).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    // What nobody answered is a call of the service that was named, when it is counted.
    collector.shutdown().await;
    let always = sidelight_collector::store::Window { from_ms: 0, to_ms: 4_000_000_000_000 };
    let links = place.open().await.service_links(always).await.unwrap();
    let link = |parent: &str, child: &str| sidelight_collector::store::ServiceLink {
        parent: parent.to_owned(),
        child: child.to_owned(),
        calls: 1,
        errors: 0,
    };
    assert_eq!(links, [link("page", "mysql")]);
}
