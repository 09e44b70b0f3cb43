//! The exporter against a collector that is real enough to refuse, to break and to be absent.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use sidelight_mesh::identity::NodeIdentity;
use sidelight_telemetry::access_log::{AccessLog, Format, LogSink, LogTarget, MemoryLog};
use sidelight_telemetry::export::{ZipkinExporter, ZipkinSettings, ZipkinTarget};
use sidelight_telemetry::{
    ClusterInfo, Downstream, Outcome, Protocol, Reporter, RequestHead, ServiceInfo, Telemetry, TelemetrySettings, TracingSettings,
};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// What a collector was sent, and what it answers.
#[derive(Default)]
struct Collector {
    requests: Mutex<Vec<(HeaderMap, String, Value)>>,
    /// Answers in turn; 202 when there are no more.
    answers: Mutex<Vec<u16>>,
}

impl Collector {
    async fn start(answers: &[u16]) -> (Arc<Self>, ZipkinTarget) {
        let collector = Arc::new(Self { answers: Mutex::new(answers.to_vec()), ..Self::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::clone(&collector);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                let service = service_fn(move |request| Arc::clone(&served).answer(request));
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        (collector, ZipkinTarget { host: "zipkin.istio-system".to_owned(), ..ZipkinTarget::new(address.to_string()) })
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let spans = serde_json::from_slice(&body).unwrap();
        self.requests.lock().await.push((parts.headers, parts.uri.to_string(), spans));
        let mut answers = self.answers.lock().await;
        let status = if answers.is_empty() { 202 } else { answers.remove(0) };
        let mut response = Response::new(Empty::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}

fn identity() -> NodeIdentity {
    let metadata = json!({"WORKLOAD_NAME": "productpage-v1", "LABELS": {"app": "productpage", "version": "v1"}});
    let metadata: &Map<String, Value> = metadata.as_object().unwrap();
    let id = "sidecar~127.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local";
    NodeIdentity::from_node(id, "", metadata).unwrap()
}

fn proxy(settings: ZipkinSettings, target: Option<ZipkinTarget>) -> Telemetry {
    let telemetry = Telemetry::new(identity(), TelemetrySettings::default());
    let exporter = ZipkinExporter::start(settings, target, telemetry.identity(), telemetry.families());
    let sink = LogSink::open(LogTarget::Memory(MemoryLog::default()), telemetry.families()).unwrap();
    telemetry.set_settings(TelemetrySettings {
        access_log: Some(AccessLog::new(Format::istio(), sink)),
        tracing: Some(TracingSettings { random_percent: 100.0, ..TracingSettings::new(exporter) }),
        replace_request_id: None,
    });
    telemetry
}

fn request(telemetry: &Telemetry) {
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", "lab-client/1.0".parse().unwrap());
    headers.insert("x-request-id", "343a860d-c001-42fc-98fa-bd3412029667".parse().unwrap());
    let head = RequestHead {
        method: "GET",
        path: "/ok",
        authority: "reviews:9080",
        scheme: "http",
        protocol: Protocol::Http11,
        headers: &headers,
        downstream: Downstream { direct_remote: Some("127.0.0.1:4".parse().unwrap()), ..Downstream::default() },
        internal: false,
    };
    let mut exchange = telemetry.start(Reporter::Source, &head);
    let host = "reviews.bookinfo.svc.cluster.local".to_owned();
    let cluster = ClusterInfo::new(format!("outbound|9080||{host}"))
        .with_alt_stat_name(&format!("outbound|9080||{host};"))
        .with_service(ServiceInfo { host, ..ServiceInfo::default() });
    exchange.set_route(Some("default".into()), Some("reviews.bookinfo.svc.cluster.local:9080/*".into()));
    exchange.set_cluster(Arc::new(cluster));
    exchange.inject(&mut headers);
    exchange.upstream_response(StatusCode::OK, &mut HeaderMap::new());
    exchange.finish(Outcome::Complete);
}

#[tokio::test]
async fn a_span_arrives_with_envoys_tags() {
    let (collector, target) = Collector::start(&[]).await;
    let telemetry = proxy(ZipkinSettings::default(), Some(target));
    request(&telemetry);
    telemetry.flush().await;
    let requests = collector.requests.lock().await;
    let (headers, path, spans) = &requests[0];
    assert_eq!(path, "/api/v2/spans");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["host"], "zipkin.istio-system");
    let span = &spans[0];
    assert_eq!(span["name"], "reviews.bookinfo.svc.cluster.local:9080/*");
    assert_eq!(span["kind"], "CLIENT");
    assert_eq!(span["localEndpoint"]["serviceName"], "productpage.bookinfo");
    assert_eq!(&span["traceId"].as_str().unwrap()[16..], span["id"].as_str().unwrap());
    let expected = json!({
        "component": "proxy",
        "downstream_cluster": "-",
        "guid:x-request-id": "343a860d-c001-92fc-98fa-bd3412029667",
        "http.method": "GET",
        "http.protocol": "HTTP/1.1",
        "http.status_code": "200",
        "http.url": "http://reviews:9080/ok",
        "istio.canonical_revision": "v1",
        "istio.canonical_service": "productpage",
        "istio.cluster_id": "Kubernetes",
        "istio.mesh_id": "cluster.local",
        "istio.namespace": "bookinfo",
        "node_id": "sidecar~127.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local",
        "peer.address": "127.0.0.1",
        "request_size": "0",
        "response_flags": "-",
        "response_size": "0",
        "upstream_cluster": "outbound|9080||reviews.bookinfo.svc.cluster.local",
        "upstream_cluster.name": "outbound|9080||reviews.bookinfo.svc.cluster.local;",
        "user_agent": "lab-client/1.0"
    });
    assert_eq!(span["tags"], expected);
    assert_eq!(telemetry.counters().spans_sent, 1);
}

#[tokio::test]
async fn spans_go_in_batches_of_five() {
    let (collector, target) = Collector::start(&[]).await;
    let settings = ZipkinSettings { flush_interval: Duration::from_secs(600), ..ZipkinSettings::default() };
    let telemetry = proxy(settings, Some(target));
    (0..5).for_each(|_| request(&telemetry));
    while telemetry.counters().spans_sent < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(collector.requests.lock().await[0].2.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn the_interval_sends_a_lone_span() {
    let (_collector, target) = Collector::start(&[]).await;
    let settings = ZipkinSettings { flush_interval: Duration::from_millis(10), ..ZipkinSettings::default() };
    let telemetry = proxy(settings, Some(target));
    request(&telemetry);
    while telemetry.counters().spans_sent < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_broken_answer_is_asked_again_once() {
    for (answers, sent, dropped, asked) in [
        (&[503][..], 1, 0, 2),
        (&[503, 503], 0, 1, 2),
        // 200 is not 202; and what is wrong with the request stays wrong.
        (&[200, 200], 0, 1, 2),
        (&[400], 0, 1, 1),
    ] {
        let (collector, target) = Collector::start(answers).await;
        let telemetry = proxy(ZipkinSettings::default(), Some(target));
        request(&telemetry);
        telemetry.flush().await;
        let counters = telemetry.counters();
        assert_eq!((counters.spans_sent, counters.spans_dropped), (sent, dropped), "{answers:?}");
        assert_eq!(collector.requests.lock().await.len(), asked, "{answers:?}");
    }
}

#[tokio::test]
async fn losses_are_counted_by_reason() {
    // Nobody listens on a port that was just given back.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let telemetry = proxy(ZipkinSettings::default(), Some(ZipkinTarget::new(free.to_string())));
    request(&telemetry);
    telemetry.flush().await;
    let tracing = telemetry.settings().tracing.unwrap();
    let counters = tracing.exporter.counters();
    assert_eq!((counters.dropped_unreachable.get(), counters.dropped()), (1, 1));
    tracing.exporter.set_target(None);
    request(&telemetry);
    telemetry.flush().await;
    assert_eq!((counters.dropped_no_target.get(), counters.dropped()), (1, 2));
    let metrics = telemetry.render_metrics("");
    assert!(metrics.contains("sidelight_spans_dropped_total{reason=\"no_target\"} 1\n"), "{metrics}");
    assert!(metrics.contains("envoy_tracing_zipkin_reports_skipped_no_cluster{} 1\n"), "{metrics}");
}

#[tokio::test]
async fn full_queue_drops_the_span_and_counts_it() {
    let settings = ZipkinSettings { queue_spans_max: 2, ..ZipkinSettings::default() };
    let telemetry = proxy(settings, None);
    // The exporter's task has no chance to run in between: this runtime has one thread.
    (0..5).for_each(|_| request(&telemetry));
    let counters = telemetry.counters();
    assert_eq!(counters.spans_dropped, 3);
    telemetry.flush().await;
    assert_eq!(telemetry.counters().spans_dropped, 5);
    // Metrics and logs know all five.
    assert!(telemetry.render_metrics("").contains("connection_security_policy=\"unknown\"} 5\n"));
    assert_eq!(telemetry.counters().log_lines_written, 5);
}
