//! A whole collector with rules: who is told of alerts, what the API says, what a restart and a bad file change.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use sidelight_collector::clock::now_ms;
use sidelight_collector::settings::{ForwardUrl, RuleSettings};
use sidelight_collector::store::sample::{Sample, SeriesSamples};
use sidelight_collector::{Collector, Settings};

use crate::on_both;
use crate::prometheus::write;
use crate::support::place::Place;
use crate::support::running::{eventually, get, settings};

/// What receivers were told: path and body.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(String, Value)>>>, Arc<Mutex<usize>>);

impl Heard {
    /// A server that fails as often as it is told to, and remembers the rest.
    async fn start(failures: usize) -> (Self, SocketAddr) {
        let heard = Self(Arc::default(), Arc::new(Mutex::new(failures)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(hear).with_state(heard.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (heard, address)
    }

    /// `(status or end, severity)` of all alerts that a path was told of.
    fn alerts(&self, path: &str) -> Vec<Value> {
        let heard = self.0.lock();
        let bodies = heard.iter().filter(|(known, _)| known == path).map(|(_, body)| body);
        bodies.flat_map(|body| body.get("alerts").unwrap_or(body).as_array().unwrap().clone()).collect()
    }
}

async fn hear(State(heard): State<Heard>, OriginalUri(uri): OriginalUri, body: String) -> StatusCode {
    let mut failures = heard.1.lock();
    if *failures > 0 {
        *failures -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    heard.0.lock().push((uri.path().to_owned(), serde_json::from_str(&body).unwrap()));
    StatusCode::OK
}

const FILE: &str = "groups:\n- name: g\n  interval: 200ms\n  rules:\n  - {record: twice, expr: level * 2}\n  - alert: High\n    \
                    expr: level > 0.5\n    labels: {severity: high}\n    annotations: {summary: 'at {{ $value }}'}\n";

fn with_rules(place: &Place, file: &Path, receiver: SocketAddr) -> Settings {
    let rules = RuleSettings {
        files: vec![file.display().to_string()],
        alertmanagers: vec![ForwardUrl(format!("http://{receiver}/am"))],
        webhooks: vec![ForwardUrl(format!("http://{receiver}/hook"))],
        ..RuleSettings::default()
    };
    let free = Some("127.0.0.1:0".parse().unwrap());
    Settings { rules, prometheus_api: free, ..settings(place) }
}

async fn level(collector: &Collector, value: f64) {
    let labels = [("__name__", "level"), ("instance", "a")].map(|(name, value)| (Arc::from(name), Arc::from(value))).into();
    write(collector.addresses().dashboard, &[SeriesSamples { labels, samples: vec![Sample { t_ms: now_ms(), value }] }]).await;
}

async fn api(collector: &Collector, path: &str) -> Value {
    let address = collector.addresses().prometheus_api.unwrap();
    let (status, text) = get(address, &format!("/api/v1/{path}")).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["data"].take()
}

on_both!(alerts_are_told_and_survive_a_restart);

async fn alerts_are_told_and_survive_a_restart(place: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, FILE).unwrap();
    let (heard, receiver) = Heard::start(2).await;
    let collector = Collector::start(with_rules(place, &file, receiver)).await.unwrap();
    level(&collector, 0.75).await;
    eventually("told that it fires", || async { heard.alerts("/am/api/v2/alerts").len() == 1 }).await;
    eventually("the webhook as well", || async { heard.alerts("/hook").len() == 1 }).await;
    let told = &heard.alerts("/am/api/v2/alerts")[0];
    assert_eq!(told["labels"], serde_json::json!({"alertname": "High", "instance": "a", "severity": "high"}));
    assert_eq!(told["annotations"]["summary"], "at 0.75");
    assert!(told["generatorURL"].as_str().unwrap().ends_with("/graph?g0.expr=level+%3E+0.5&g0.tab=1"), "{told}");
    assert_eq!(heard.alerts("/hook")[0]["status"], "firing");

    let alerts = api(&collector, "alerts").await;
    let active_at = alerts["alerts"][0]["activeAt"].clone();
    assert_eq!((&alerts["alerts"][0]["state"], &alerts["alerts"][0]["value"]), (&"firing".into(), &"7.5e-01".into()));
    let rules = api(&collector, "rules?type=alert").await;
    assert_eq!(rules["groups"][0]["rules"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&rules["groups"][0]["rules"][0]["state"], &rules["groups"][0]["rules"][0]["health"]),
        (&"firing".into(), &"ok".into())
    );
    let managers = api(&collector, "alertmanagers").await;
    assert_eq!(managers["activeAlertmanagers"][0]["url"], format!("http://{receiver}/am/api/v2/alerts"));
    let twice = api(&collector, "query?query=twice").await;
    assert_eq!(twice["result"][0]["value"][1], "1.5");
    collector.shutdown().await;

    let collector = Collector::start(with_rules(place, &file, receiver)).await.unwrap();
    let restored = || async {
        let alerts = api(&collector, "alerts").await;
        alerts["alerts"][0]["state"] == "firing"
    };
    eventually("it fires again", restored).await;
    let seconds = |time: &Value| time.as_str().unwrap()[..19].to_owned();
    assert_eq!(seconds(&api(&collector, "alerts").await["alerts"][0]["activeAt"]), seconds(&active_at));
    level(&collector, 0.25).await;
    let ended = || async { heard.alerts("/hook").iter().any(|alert| alert["status"] == "resolved") };
    eventually("told that it ended", ended).await;
    let firing = api(&collector, "query?query=ALERTS").await;
    assert_eq!(firing["result"].as_array().unwrap().len(), 0);

    std::fs::write(&file, FILE.replace("expr: level > 0.5", "expr: level >")).unwrap();
    let told = || async { get(collector.addresses().dashboard, "/metrics").await.1.contains("sidelight_rule_files_good 0\n") };
    eventually("the bad file is seen", told).await;
    assert_eq!(api(&collector, "rules").await["groups"][0]["rules"][1]["query"], "level > 0.5");
    std::fs::write(&file, FILE.replace("level > 0.5", "level > 0.1")).unwrap();
    eventually("the good file is taken", || async {
        api(&collector, "rules").await["groups"][0]["rules"][1]["query"] == "level > 0.1"
    })
    .await;
    let (_, ingest) = get(collector.addresses().dashboard, "/api/ingest").await;
    let ingest: Value = serde_json::from_str(&ingest).unwrap();
    let door = ingest["doors"].as_array().unwrap().iter().find(|door| door["door"] == "rules").unwrap();
    assert_eq!(door["received"], door["stored"], "{door}");
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_collectors_evaluates() {
    let place = Place::postgres().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {record: tick, expr: time()}\n").unwrap();
    let (_heard, receiver) = Heard::start(0).await;
    let first = Collector::start(with_rules(&place, &file, receiver)).await.unwrap();
    let second = Collector::start(with_rules(&place, &file, receiver)).await.unwrap();
    let evaluates = async |collector: &Collector| api(collector, "rules").await["groups"][0]["rules"][0]["health"] == "ok";
    eventually("one of them evaluates", || async { evaluates(&first).await != evaluates(&second).await }).await;
    let (owner, other) = if evaluates(&first).await { (first, second) } else { (second, first) };
    let ticks = async |collector: &Collector| {
        let found = api(collector, "query?query=count_over_time(tick[1h])").await;
        found["result"][0]["value"][1].as_str().map_or(0, |count| count.parse::<u64>().unwrap())
    };
    eventually("some ticks", || async { ticks(&other).await >= 3 }).await;
    owner.shutdown().await;
    eventually("the other takes over", || async { evaluates(&other).await }).await;
    let before = ticks(&other).await;
    eventually("it goes on", || async { ticks(&other).await > before }).await;
    other.shutdown().await;
}
