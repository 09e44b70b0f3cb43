//! Files and HTTP servers that tell targets, limits, and a collector that is started with all of it.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use parking_lot::Mutex;
use sidelight_collector::ingest::scrape::config::parse;
use sidelight_collector::ingest::scrape::watch_job;
use sidelight_collector::{Collector, Settings};
use tokio_util::sync::CancellationToken;

use crate::support::place::Place;
use crate::support::proxy::CountingProxy;
use crate::support::running::{eventually, get as ask, settings, stored};

/// Tells what it is told to; `None` is an error of the server.
async fn server(answer: Arc<Mutex<Option<String>>>, seen: Arc<Mutex<HeaderMap>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tell = move |headers: HeaderMap| async move {
        *seen.lock() = headers;
        match answer.lock().clone() {
            Some(text) => Ok(([("content-type", "application/json; charset=utf-8")], text)),
            None => Err(axum::http::StatusCode::INTERNAL_SERVER_ERROR),
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/sd", get(tell))).await });
    format!("http://{address}/sd")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_leaves_its_last_targets() {
    let (answer, seen) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(HeaderMap::new())));
    let url = server(answer.clone(), seen.clone()).await;
    let config = format!(
        "scrape_configs:\n- job_name: told\n  http_sd_configs:\n  - {{url: '{url}', refresh_interval: 100ms}}\n\
         \x20 relabel_configs:\n  - {{source_labels: [__meta_url], target_label: from}}\n"
    );
    let stop = CancellationToken::new();
    let found = watch_job(parse(&config, std::path::Path::new(".")).unwrap().remove(0), stop.clone());
    let targets = || found.borrow().targets.iter().map(|target| target.url.clone()).collect::<Vec<_>>();
    assert_eq!(targets(), Vec::<String>::new());
    *answer.lock() = Some(r#"[{"targets":["a:1","b:2"],"labels":{"env":"test"}}]"#.to_owned());
    eventually("two targets", || async { targets() == ["http://a:1/metrics", "http://b:2/metrics"] }).await;
    assert_eq!(
        (found.borrow().targets[0].labels.get("env"), found.borrow().targets[0].labels.get("from")),
        ("test", url.as_str())
    );
    let header = |name: &str| seen.lock().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("x-prometheus-refresh-interval-seconds").as_deref(), Some("0.1"));
    assert_eq!(header("accept").as_deref(), Some("application/json"));
    for broken in [None, Some("[".to_owned()), Some("{}".to_owned())] {
        *answer.lock() = broken;
        // Of two questions the first has been answered and taken up.
        for _ in 0..3 {
            seen.lock().clear();
            eventually("one more question", || async { !seen.lock().is_empty() }).await;
        }
        assert_eq!(targets().len(), 2);
    }
    *answer.lock() = Some("[]".to_owned());
    eventually("no targets", || async { targets().is_empty() }).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_scrapes_what_its_configuration_says() {
    let (place, folder) = (Place::sqlite(), tempfile::tempdir().unwrap());
    let proxies = [CountingProxy::start(0).await, CountingProxy::start(0).await, CountingProxy::start(0).await];
    for (proxy, workload) in proxies.iter().zip(["cart", "stock", "mail"]) {
        proxy.count(workload, 5);
    }
    let address = |number: usize| proxies[number].address;
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n\
         - job_name: static\n  metrics_path: /stats/prometheus\n  static_configs:\n  - targets: ['{}', 'dropped:1']\n    labels: {{app: cart, namespace: shop}}\n\
         \x20 relabel_configs: [{{action: drop, source_labels: [__address__], regex: 'dropped.*'}}]\n\
         - job_name: files\n  file_sd_configs: [{{files: ['*.yml.json', targets.yaml]}}]\n\
         - job_name: limited\n  target_limit: 1\n  static_configs: [{{targets: ['x:1', 'x:2']}}]\n",
        address(0)
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let targets = format!("- targets: ['{}']\n  labels: {{__metrics_path__: /stats/prometheus}}\n", address(1));
    std::fs::write(folder.path().join("targets.yaml"), targets).unwrap();
    let told = Arc::new(Mutex::new(Some(format!(r#"[{{"targets":["{}"]}}]"#, address(2)))));
    let url = server(told, Arc::default()).await;
    let configured =
        Settings { scrape_config: Some(folder.path().join("prometheus.yml")), scrape_http_sd: Some(url), ..settings(&place) };
    let collector = Collector::start(configured).await.unwrap();
    for workload in ["cart", "stock", "mail"] {
        eventually(workload, || async { stored(&collector, workload).await == 5 }).await;
    }
    let (_, text) = ask(collector.addresses().dashboard, "/api/targets").await;
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let active = answer["data"]["activeTargets"].as_array().unwrap();
    let of = |pool: &str| active.iter().filter(|target| target["scrapePool"] == pool).collect::<Vec<_>>();
    assert_eq!((of("static").len(), of("files").len(), of("sidelight-http").len(), of("limited").len()), (1, 1, 1, 2));
    let target = of("static")[0];
    assert_eq!((target["health"].as_str(), target["lastError"].as_str()), (Some("up"), Some("")));
    assert_eq!((target["scrapeInterval"].as_str(), target["scrapeTimeout"].as_str()), (Some("200ms"), Some("200ms")));
    let labels = serde_json::json!({"app": "cart", "namespace": "shop", "job": "static", "instance": address(0).to_string()});
    assert_eq!(target["labels"], labels);
    assert_eq!(answer["data"]["droppedTargets"][0]["discoveredLabels"]["__address__"], "dropped:1");
    eventually("the limit shows", || async {
        let (_, text) = ask(collector.addresses().dashboard, "/api/targets?scrapePool=limited&state=active").await;
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        let targets = answer["data"]["activeTargets"].as_array().unwrap().clone();
        let reason = "target_limit exceeded (number of targets: 2, limit: 1)";
        targets.len() == 2 && targets.iter().all(|target| target["lastError"] == reason && target["health"] == "down")
    })
    .await;
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_that_never_answer_keep_nobody_waiting() {
    let (place, folder) = (Place::sqlite(), tempfile::tempdir().unwrap());
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let held = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn({
        let held = held.clone();
        async move {
            while let Ok((stream, _)) = silent.accept().await {
                held.lock().push(stream);
            }
        }
    });
    let group = |number: usize| format!(r#"{{"targets":["{address}"],"labels":{{"__metrics_path__":"/{number}"}}}}"#);
    let mut groups: Vec<String> = (0..100).map(group).collect();
    let told = Arc::new(Mutex::new(Some(format!("[{}]", groups.join(",")))));
    let url = server(told.clone(), Arc::default()).await;
    let config = format!(
        "scrape_configs:\n- job_name: told\n  scrape_interval: 10m\n  scrape_timeout: 10m\n  http_sd_configs:\n\
         \x20 - {{url: '{url}', refresh_interval: 100ms}}\n"
    );
    let path = folder.path().join("prometheus.yml");
    std::fs::write(&path, config).unwrap();
    let collector = Collector::start(Settings { scrape_config: Some(path), ..settings(&place) }).await.unwrap();
    eventually("all are asked", || async { held.lock().len() >= 100 }).await;
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 5);
    groups.push(format!(r#"{{"targets":["{}"],"labels":{{"__metrics_path__":"/stats/prometheus"}}}}"#, proxy.address));
    *told.lock() = Some(format!("[{}]", groups.join(",")));
    eventually("the one that answers is stored", || async { stored(&collector, "cart").await == 5 }).await;
    // Nor does the end wait for their ten minutes.
    tokio::time::timeout(std::time::Duration::from_secs(120), collector.shutdown()).await.unwrap();
}

#[tokio::test]
async fn a_collector_with_a_wrong_configuration_says_where_and_does_not_start() {
    let (place, folder) = (Place::sqlite(), tempfile::tempdir().unwrap());
    let path = folder.path().join("prometheus.yml");
    std::fs::write(&path, "scrape_configs:\n- job_name: a\n  scrape_intervall: 1s\n").unwrap();
    let wrong = Settings { scrape_config: Some(path.clone()), ..settings(&place) };
    let error = Collector::start(wrong).await.err().unwrap();
    assert_eq!(error.to_string(), format!("{}:3: a job of `scrape_configs` has no key `scrape_intervall`", path.display()));
}
