//! The same rule file, on the same samples, in a real Prometheus and here: the same series recorded, the same alerts.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sidelight_collector::own_metrics::OwnMetrics;
use sidelight_collector::pipeline::{Intake, Writer};
use sidelight_collector::query::promql::{Limits, Stored, Times, query};
use sidelight_collector::rules::{Engine, GroupState, RuleText, parse};
use sidelight_collector::store::Store;
use sidelight_collector::store::sample::{Sample, SeriesSamples, stale};
use tokio_util::sync::CancellationToken;

use crate::differential::{difference, ours, seconds, theirs};
use crate::on_both;
use crate::support::place::Place;
use crate::support::prometheus::Prometheus;

const FILE: &str = r#"
groups:
- name: one
  interval: 1s
  rules:
  - {record: tick, expr: "1"}
  - {record: "job:req:rate", expr: "sum by (job) (rate(req_total[5s]))", labels: {kind: rate}}
  - {record: "job:req:twice", expr: "job:req:rate * 2"}
  - {record: "level:high", expr: "level > 0.5"}
  - alert: High
    expr: level > 0.5
    for: 2s
    keep_firing_for: 2s
    labels: {severity: '{{ if eq $labels.instance "a" }}high{{ else }}low{{ end }}', team: mesh}
    annotations: {summary: '{{ $labels.instance }} is at {{ $value | humanizePercentage }}'}
  - {alert: Now, expr: level > 0.5}
  - {alert: Odd, expr: 'vector(time()) % 7 < 3', for: 1s}
- name: limited
  interval: 1s
  limit: 1
  rules:
  - {record: other_tick, expr: "1"}
  - {record: too_many, expr: level}
  - {record: few, expr: 'level{instance="a"}'}
"#;
/// Everything that the rules make.
const MADE: &str = r#"{__name__=~"tick|job:.+|level:high|ALERTS.*|other_tick|too_many|few"}"#;
/// Times of evaluation that are compared.
const TICKS: usize = 14;

fn series(pairs: &[(&str, &str)], start_ms: i64, value: impl Fn(i64) -> Option<f64>) -> SeriesSamples {
    let labels = pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
    let samples = (0..80).filter_map(|step| Some(Sample { t_ms: start_ms + step * 500, value: value(step)? })).collect();
    SeriesSamples { labels, samples }
}

/// From ten seconds ago until thirty seconds from now: levels go up and down, end and begin again.
fn samples(now_ms: i64) -> Vec<SeriesSamples> {
    let start_ms = now_ms - 10_000;
    let level = |from: i64, to: i64| move |step: i64| Some(if (from..to).contains(&step) { 0.75 } else { 0.25 });
    vec![
        series(&[("__name__", "level"), ("instance", "a")], start_ms, level(28, 44)),
        series(&[("__name__", "level"), ("instance", "b")], start_ms, |step| match step {
            30..36 | 40..50 => Some(0.9),
            36 => Some(stale()),
            37..40 => None,
            _ => Some(0.1),
        }),
        series(&[("__name__", "level"), ("instance", "c")], start_ms, level(32, 35)),
        series(&[("__name__", "req_total"), ("instance", "a"), ("job", "x")], start_ms, |step| Some((step * 3) as f64)),
        series(&[("__name__", "req_total"), ("instance", "b"), ("job", "x")], start_ms, |step| Some((step % 20 * 5) as f64)),
        series(&[("__name__", "req_total"), ("instance", "a"), ("job", "y")], start_ms, |step| Some((step * step) as f64)),
    ]
}

on_both!(rules_do_what_those_of_prometheus_do);

async fn rules_do_what_those_of_prometheus_do(place: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, FILE).unwrap();
    let peer = Prometheus::start(&format!("global: {{evaluation_interval: 1s}}\nrule_files: ['{}']\n", path.display())).await;
    let samples = samples(sidelight_collector::clock::now_ms());
    peer.fill(&samples).await;
    let (store, engine, stop) = engine(place).await;
    fill(&engine, &store, &samples).await;

    let ticks = ticks(&peer).await;
    let groups = parse(&[RuleText { name: "rules.yml".into(), text: FILE.to_owned() }]).unwrap();
    let mut states: Vec<GroupState> = groups.into_iter().map(|group| GroupState::new(Arc::new(group))).collect();
    for (at_ms, place) in &ticks {
        engine.evaluate(&mut states[*place], *at_ms, &|_| true).await;
    }
    let (first_ms, last_ms) = (ticks[0].0, ticks[ticks.len() - 1].0);
    // Later: Prometheus begins to tell of alerts with the third evaluation of their group.
    let (start_ms, end_ms) = (first_ms + 3_000, last_ms);
    let parameters =
        [("query", MADE.to_owned()), ("start", seconds(start_ms)), ("end", seconds(end_ms)), ("step", "0.1".to_owned())];
    let expected = theirs(&peer.ask("/api/v1/query_range", &parameters).await.unwrap());
    let source = Stored(Arc::clone(&store));
    let answer = query(&source, MADE, Times::range(start_ms, end_ms, 100).unwrap(), &Limits::default()).await.unwrap();
    assert_eq!(difference(&ours(answer), &expected, false), None);
    let names: std::collections::BTreeSet<&str> =
        expected.keys().flatten().filter(|(name, _)| name == "__name__").map(|(_, value)| value.as_str()).collect();
    let all = ["ALERTS", "ALERTS_FOR_STATE", "few", "job:req:rate", "job:req:twice", "level:high", "other_tick", "tick"];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), all);
    let states: std::collections::BTreeSet<String> =
        expected.keys().flatten().filter(|(name, _)| name == "alertstate").map(|(_, value)| value.clone()).collect();
    assert_eq!(states.into_iter().collect::<Vec<_>>(), ["firing", "pending"]);
    stop.cancel();
}

async fn engine(place: &Place) -> (Arc<dyn Store>, Engine, CancellationToken) {
    let (store, metrics, stop) = (place.open().await, OwnMetrics::new(), CancellationToken::new());
    let (writer, handle) = Writer::new(Arc::clone(&store), Arc::clone(&metrics));
    tokio::spawn(writer.run(stop.clone()));
    let engine = Engine {
        store: Arc::clone(&store),
        intake: Intake::new(handle),
        forwarder: None,
        external_url: "http://127.0.0.1".into(),
        metrics: metrics.rules(),
    };
    (store, engine, stop)
}

async fn fill(engine: &Engine, store: &Arc<dyn Store>, samples: &[SeriesSamples]) {
    use sidelight_collector::pipeline::{SamplePush, SampleRequest};
    use sidelight_collector::store::Delivery;
    let mut push = SamplePush::up_to(1_000_000, store.series_index().await.unwrap(), Arc::new(|_| Ok(())));
    for series in samples {
        let labels: Vec<(&str, &str)> = series.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        push.add(&labels, series.samples.iter().copied());
    }
    let request = SampleRequest { door: "test", push, bytes: 0, delivery: Delivery::new("test", b"samples") };
    assert!(engine.intake.samples(request).await.unwrap().0.refused.is_empty());
}

/// When Prometheus evaluated the groups, each with the place of its group.
async fn ticks(peer: &Prometheus) -> Vec<(i64, usize)> {
    loop {
        let mut ticks = Vec::new();
        for (place, name) in ["tick", "other_tick"].into_iter().enumerate() {
            let answer = peer.ask("/api/v1/query", &[("query", format!("{name}[1h]"))]).await.unwrap();
            for series in answer["result"].as_array().unwrap() {
                let times = series["values"].as_array().unwrap().iter();
                ticks.extend(times.map(|pair| ((pair[0].as_f64().unwrap() * 1000.0).round() as i64, place)));
            }
        }
        ticks.sort_unstable();
        if ticks.len() >= 2 * TICKS {
            return ticks;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).output().expect("install Debian's package `prometheus`");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    told
}

#[test]
fn promtool_finds_the_shipped_rules_good() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rules");
    let told = promtool(&["check", "rules", "--lint=all", "--lint-fatal", &format!("{folder}/istio.yml")]);
    assert!(told.contains("SUCCESS: 7 rules found"), "{told}");
    let told = promtool(&["test", "rules", &format!("{folder}/istio_test.yml")]);
    assert!(told.contains("SUCCESS"), "{told}");
    let text = std::fs::read_to_string(format!("{folder}/istio.yml")).unwrap();
    let groups = parse(&[RuleText { name: "istio.yml".into(), text }]).unwrap();
    assert_eq!(groups.iter().map(|group| group.rules.len()).sum::<usize>(), 7);
}

/// Expressions are told as Prometheus tells them, so that links and tools agree.
#[tokio::test]
async fn expressions_are_printed_as_prometheus_prints_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    let shipped = include_str!("../../../deploy/rules/istio.yml");
    std::fs::write(&path, shipped).unwrap();
    let peer = Prometheus::start(&format!("rule_files: ['{}']\n", path.display())).await;
    let answer: serde_json::Value =
        serde_json::from_str(&crate::support::running::get(peer.address, "/api/v1/rules").await.1).unwrap();
    let theirs: Vec<String> = answer["data"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .map(|rule| rule["query"].as_str().unwrap().to_owned())
        .collect();
    let mut groups = parse(&[RuleText { name: "istio.yml".into(), text: shipped.to_owned() }]).unwrap();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    let ours: Vec<String> = groups.iter().flat_map(|group| &group.rules).map(|rule| rule.expression.clone()).collect();
    assert_eq!(ours, theirs);
}
