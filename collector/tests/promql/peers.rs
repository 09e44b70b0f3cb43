//! Those who are pointed at a Prometheus: another Prometheus that federates and reads, Grafana, promtool, Kiali.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use sidelight_collector::clock::now_ms;
use sidelight_collector::store::sample::{Sample, SeriesSamples};
use sidelight_collector::{Collector, Settings};

use crate::differential::{difference, seconds, theirs};
use crate::prometheus::{ask, write};
use crate::samples::{COUNT, INTERVAL_MS, generate};
use crate::support::place::Place;
use crate::support::prometheus::Prometheus;
use crate::support::proxy::CountingProxy;
use crate::support::running::{eventually, get, send, settings};

/// A collector with samples, and its port for the API.
async fn filled(place: &Place) -> (Collector, SocketAddr, i64) {
    let free = Some("127.0.0.1:0".parse().unwrap());
    let collector = Collector::start(Settings { prometheus_api: free, ..settings(place) }).await.unwrap();
    let start_ms = now_ms() / 15_000 * 15_000 - (COUNT + 2) * INTERVAL_MS;
    write(collector.addresses().dashboard, &generate(start_ms)).await;
    let port = collector.addresses().prometheus_api.unwrap();
    (collector, port, start_ms)
}

/// Streamed chunks and samples at once: a Prometheus asks for the former, `promtool` and older ones for the latter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_reads_from_us() {
    let place = Place::sqlite();
    let (collector, port, start_ms) = filled(&place).await;
    let config = format!("remote_read: [{{url: 'http://{port}/api/v1/read', read_recent: true}}]\n");
    let reader = Prometheus::start(&config).await;
    for expression in ["requests_total", "temperature{job=~\"api|db\"}", "odd", "sum by (job) (rate(requests_total[5m]))"] {
        let parameters = [
            ("query", expression.to_owned()),
            ("start", seconds(start_ms)),
            ("end", seconds(start_ms + COUNT * INTERVAL_MS)),
            ("step", "15".to_owned()),
        ];
        let read = theirs(&reader.ask("/api/v1/query_range", &parameters).await.unwrap());
        let asked = theirs(&ask(port, "/api/v1/query_range", &parameters).await.unwrap());
        assert!(!read.is_empty(), "{expression}");
        assert_eq!(difference(&asked, &read, false), None, "{expression}");
    }
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_federates_from_us() {
    let place = Place::sqlite();
    let (collector, port, _) = filled(&place).await;
    let labels = [("__name__", "fresh"), ("job", "web")].map(|(name, value)| (Arc::from(name), Arc::from(value))).into();
    let sample = Sample { t_ms: now_ms(), value: 4.5 };
    write(collector.addresses().dashboard, &[SeriesSamples { labels, samples: vec![sample] }]).await;
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: f, honor_labels: true, metrics_path: /federate, \
         params: {{'match[]': ['{{job=\"web\"}}']}}, static_configs: [{{targets: ['{port}']}}]}}]\n"
    );
    let peer = Prometheus::start(&config).await;
    eventually("the sample", || async {
        let found = peer.query("fresh").await;
        found.len() == 1 && found[0].1 == "4.5" && found[0].0["job"] == "web"
    })
    .await;
    collector.shutdown().await;
}

/// What Grafana's data source asks: its health check, its builder, its explorer, annotations and alerts
/// (`pkg/promlib` and `packages/grafana-prometheus`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_questions_of_grafana_are_answered() {
    let place = Place::sqlite();
    let (collector, port, start_ms) = filled(&place).await;
    let (start, end) = (seconds(start_ms), seconds(now_ms()));
    let window = || vec![("start", start.clone()), ("end", end.clone())];
    let posts: Vec<(&str, Vec<(&str, String)>)> = vec![
        // "Save & test".
        ("query", vec![("query", "1+1".to_owned()), ("time", end.clone())]),
        ("query_range", [window(), vec![("query", "up".to_owned()), ("step", "15".to_owned())]].concat()),
        ("labels", window()),
        ("labels", [window(), vec![("match[]", "{__name__=\"limit\"}".to_owned()), ("limit", "40000".to_owned())]].concat()),
        ("series", [window(), vec![("match[]", "limit".to_owned())]].concat()),
        ("format_query", vec![("query", "sum(x)by(y)".to_owned())]),
        ("parse_query", vec![("query", "sum(rate(x[5m])) by (y) / 2".to_owned())]),
    ];
    for (path, parameters) in posts {
        let answer = ask(port, &format!("/api/v1/{path}"), &parameters).await;
        assert!(answer.is_ok(), "{path}: {answer:?}");
    }
    let gets = [
        format!("label/__name__/values?start={start}&end={end}"),
        format!("label/job/values?start={start}&end={end}&match[]=limit&limit=40000"),
        "status/buildinfo".to_owned(),
        "status/flags".to_owned(),
        "status/config".to_owned(),
        "status/runtimeinfo".to_owned(),
        "status/tsdb?limit=5".to_owned(),
        "status/walreplay".to_owned(),
        "rules".to_owned(),
        "alerts".to_owned(),
        "alertmanagers".to_owned(),
        "targets?state=active".to_owned(),
    ];
    for path in gets {
        let (status, text) = get(port, &format!("/api/v1/{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["status"], "success", "{path}");
    }
    let values = get(port, "/api/v1/label/job/values?match[]=limit&limit=2").await.1;
    let expected = r#"{"status":"success","data":["api","db"],"warnings":["results truncated due to limit"]}"#;
    assert_eq!(values, expected);
    let answer = get(port, "/api/v1/query?query=1&stats=all").await.1;
    assert!(answer.contains("\"stats\":{") && answer.contains("\"totalQueryableSamples\":0"), "{answer}");
    assert_eq!(get(port, "/-/healthy").await, (StatusCode::OK, "Prometheus Server is Healthy.\n".to_owned()));
    assert_eq!(get(port, "/-/ready").await, (StatusCode::OK, "Prometheus Server is Ready.\n".to_owned()));
    collector.shutdown().await;
}

/// The tree of an expression, told by a newer Prometheus than Debian's; these are its documentation's fields.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_is_shown_as_a_tree() {
    let place = Place::sqlite();
    let (collector, port, _) = filled(&place).await;
    let tree = ask(port, "/api/v1/parse_query", &[("query", "foo{a=~\"b\"}[5m] offset 1m".to_owned())]).await.unwrap();
    let expected = serde_json::json!({
        "type": "matrixSelector", "name": "foo", "range": 300_000, "offset": 60_000,
        "matchers": [{"name": "a", "value": "b", "type": "=~"}, {"name": "__name__", "value": "foo", "type": "="}],
        "timestamp": null, "startOrEnd": null,
    });
    assert_eq!(tree, expected);
    let tree = ask(port, "/api/v1/parse_query", &[("query", "a * on (x) group_left (y) b".to_owned())]).await.unwrap();
    let matching = serde_json::json!({"card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"]});
    assert_eq!((&tree["op"], &tree["matching"]), (&"*".into(), &matching));
    collector.shutdown().await;
}

/// Kiali's questions of one namespace (kiali.md), as it posts them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_questions_of_kiali_are_answered() {
    let place = Place::sqlite();
    let (collector, port, _) = filled(&place).await;
    let group = "source_cluster,source_workload_namespace,source_workload,source_canonical_service,\
                 source_canonical_revision,destination_cluster,destination_service_namespace,destination_service,\
                 destination_service_name,destination_workload_namespace,destination_workload,\
                 destination_canonical_service,destination_canonical_revision,request_protocol,response_code,\
                 grpc_response_status,response_flags";
    let queries = [
        format!(
            "sum(rate(istio_requests_total{{reporter=\"destination\",destination_workload_namespace=\"bookinfo\"}} [60s])) by ({group}) > 0"
        ),
        format!(
            "sum(rate(istio_requests_total{{reporter=\"source\",source_workload_namespace!=\"bookinfo\",\
             destination_workload_namespace=\"unknown\",destination_workload=\"unknown\",\
             destination_service=~\"^.+\\\\.bookinfo\\\\..+$\"}} [60s])) by ({group}) > 0"
        ),
        "rate(istio_requests_total{destination_service_name=\"reviews\",destination_cluster=~\"Kubernetes|unknown\"}[60s]) > 0"
            .to_owned(),
        "count({__name__=~\"istio_.*|limit\"}) by (__name__)".to_owned(),
        "(sum(rate(istio_tcp_sent_bytes_total{app=\"x\"}[60s])) by (app)) OR (sum(rate(limit[60s])) by (app))".to_owned(),
    ];
    for query in queries {
        let answer = ask(port, "/api/v1/query", &[("query", query.clone()), ("time", seconds(now_ms()))]).await;
        assert_eq!(answer.as_ref().map(|data| &data["resultType"]), Ok(&"vector".into()), "{query}: {answer:?}");
    }
    let config: Value = serde_json::from_str(&get(port, "/api/v1/status/config").await.1).unwrap();
    assert_eq!(config["data"]["yaml"], "global:\n  scrape_interval: 100ms\n  evaluation_interval: 1m\n");
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_asks_the_port_of_the_api() {
    let place = Place::sqlite();
    let (collector, port, start_ms) = filled(&place).await;
    let told = tokio::task::spawn_blocking(move || {
        let (from, to) = (seconds(start_ms), seconds(start_ms + 2 * INTERVAL_MS));
        let (from_arg, to_arg) = (format!("--start={from}"), format!("--end={to}"));
        [
            promtool(port, &["instant", "SERVER", "1 + 1"]),
            promtool(port, &["range", &from_arg, &to_arg, "--step=15s", "SERVER", "limit{job=\"db\"}"]),
            promtool(port, &["series", "--match=limit", &from_arg, "SERVER"]),
            promtool(port, &["labels", "SERVER", "code"]),
        ]
    });
    let [instant, range, series, labels] = told.await.unwrap();
    assert!(instant.starts_with("scalar: 2"), "{instant}");
    assert!(range.contains("limit{job=\"db\"}") && range.contains("7.5 @["), "{range}");
    assert_eq!(series.lines().count(), 3, "{series}");
    assert_eq!(labels, "200\n404\n503");
    collector.shutdown().await;
}

fn promtool(port: SocketAddr, arguments: &[&str]) -> String {
    let server = format!("http://{port}");
    let arguments = arguments.iter().map(|argument| if *argument == "SERVER" { server.as_str() } else { argument });
    let output = Command::new("promtool").arg("query").args(arguments).output().expect("install Debian's package `prometheus`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_read_request_is_refused() {
    let place = Place::sqlite();
    let (collector, port, _) = filled(&place).await;
    let packed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    let bodies =
        [b"no snappy".to_vec(), packed(b"\xff\xff\xff"), packed(&vec![0; 2 << 20]), vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0]];
    for body in bodies {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, HeaderValue::from_static("snappy"))]);
        let (status, text) = send(port, "POST", "/api/v1/read", headers, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(text.contains("\"errorType\":\"bad_data\""), "{text}");
    }
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_have_the_shape_of_prometheus() {
    let (place, proxy) = (Place::sqlite(), CountingProxy::start(0).await);
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: proxies\n  metrics_path: /stats/prometheus\n  \
         static_configs: [{{targets: ['{}'], labels: {{zone: z}}}}, {{targets: ['127.0.0.1:1'], labels: {{drop: me}}}}]\n  \
         relabel_configs: [{{source_labels: [drop], regex: me, action: drop}}]\n",
        proxy.address
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prometheus.yml");
    std::fs::write(&path, &config).unwrap();
    let free = Some("127.0.0.1:0".parse().unwrap());
    let with_jobs = Settings { prometheus_api: free, scrape_config: Some(path), ..settings(&place) };
    let collector = Collector::start(with_jobs).await.unwrap();
    let (port, peer) = (collector.addresses().prometheus_api.unwrap(), Prometheus::start(&config).await);
    let targets = async |address: SocketAddr, state: &str| -> Value {
        let (status, text) = get(address, &format!("/api/v1/targets?state={state}")).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["data"].take()
    };
    let is_up = async |address: SocketAddr| targets(address, "active").await["activeTargets"][0]["health"] == "up";
    eventually("both are up", || async { is_up(port).await && is_up(peer.address).await }).await;
    let without_times = |mut data: Value| {
        for target in data["activeTargets"].as_array_mut().unwrap() {
            for key in ["lastScrape", "lastScrapeDuration", "globalUrl"] {
                assert!(target.as_object_mut().unwrap().remove(key).is_some(), "{key} is missing");
            }
        }
        // Of newer ones than Debian's.
        data.as_object_mut().unwrap().remove("droppedTargetCounts");
        data
    };
    for state in ["active", "dropped", "any"] {
        let (ours, theirs) = (targets(port, state).await, targets(peer.address, state).await);
        assert_eq!(without_times(ours), without_times(theirs), "{state}");
    }
    collector.shutdown().await;
}
