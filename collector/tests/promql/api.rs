//! The whole way: samples come over remote write, questions over HTTP, and promtool is one who asks.

use std::net::SocketAddr;
use std::process::Command;

use sidelight_collector::Collector;

use crate::differential::{difference, seconds, theirs};
use crate::expressions::Expressions;
use crate::on_both;
use crate::prometheus::{ask, write};
use crate::samples::{COUNT, INTERVAL_MS, Random, generate};
use crate::support::place::Place;
use crate::support::prometheus::Prometheus;
use crate::support::running::{get, settings};

on_both!(questions_over_http_have_the_answers_of_prometheus, promtool_is_answered);

/// So old that all of it is past, so young that it is kept.
fn start_ms() -> i64 {
    sidelight_collector::clock::now_ms() / 15_000 * 15_000 - (COUNT + 20) * INTERVAL_MS
}

async fn questions_over_http_have_the_answers_of_prometheus(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let (ours, start_ms) = (collector.addresses().dashboard, start_ms());
    let (prometheus, series) = (Prometheus::empty().await, generate(start_ms));
    prometheus.fill(&series).await;
    write(ours, &series).await;
    let (mut answered, mut failures) = (0, Vec::new());
    for seed in 5_000..5_120 {
        let expression = Expressions::new(seed).vector(1 + (seed % 2) as usize);
        let mut random = Random::new(seed);
        let at_ms = start_ms + random.below(COUNT as usize) as i64 * INTERVAL_MS;
        let mut parameters = vec![("query", expression.clone())];
        let endpoint = if seed % 2 == 0 {
            parameters.push(("time", seconds(at_ms)));
            "query"
        } else {
            parameters.extend([("start", seconds(at_ms)), ("end", seconds(at_ms + 600_000)), ("step", "30s".to_owned())]);
            "query_range"
        };
        let expected = prometheus.ask(&format!("/api/v1/{endpoint}"), &parameters).await;
        let answer = ask(ours, &format!("/prometheus/api/v1/{endpoint}"), &parameters).await;
        let kind = |error: &String| error.split(':').next().unwrap_or_default().to_owned();
        let problem = match (&answer, &expected) {
            (Ok(answer), Ok(expected)) => {
                answered += 1;
                difference(&theirs(answer), &theirs(expected), expression.contains("topk") || expression.contains("bottomk"))
            }
            (Err(error), Err(expected)) if kind(error) == kind(expected) => None,
            _ => Some(format!("ours {answer:?}, theirs {expected:?}")),
        };
        if let Some(problem) = problem {
            failures.push(format!("#{seed} {expression}\n  {}", problem.chars().take(400).collect::<String>()));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    assert!(answered > 60, "{answered} answers");
    collector.shutdown().await;
}

fn promtool(ours: SocketAddr, arguments: &[&str]) -> String {
    let mut command = Command::new("promtool");
    command.args(["query", arguments[0], &format!("http://{ours}/prometheus")]).args(&arguments[1..]);
    let output = command.output().expect("install Debian's package `prometheus`");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn promtool_is_answered(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let (ours, start_ms) = (collector.addresses().dashboard, start_ms());
    write(ours, &generate(start_ms)).await;
    let told = tokio::task::spawn_blocking(move || {
        let (at, later) = (seconds(start_ms + 80 * INTERVAL_MS), seconds(start_ms + 81 * INTERVAL_MS));
        [
            promtool(ours, &["labels", "job"]),
            promtool(ours, &["instant", "--time", &at, "limit{job=\"web\"} * 2"]),
            promtool(ours, &["series", "--match=odd", "--start", &seconds(start_ms)]),
            promtool(ours, &["range", "--start", &at, "--end", &later, "--step", "15s", "vector(1)"]),
        ]
    });
    let [labels, instant, series, range] = told.await.unwrap();
    assert_eq!(labels, "api\ndb\nweb");
    assert!(instant.starts_with("{job=\"web\"} => 15 @["), "{instant}");
    assert_eq!(series, "{__name__=\"odd\", job=\"api\"}");
    assert!(range.starts_with("{} =>\n1 @["), "{range}");
    let (status, body) = get(ours, "/prometheus/api/v1/query?query=sum(").await;
    assert_eq!(status, 400);
    assert!(body.starts_with("{\"error\":\"parse error: "), "{body}");
    let (status, body) = get(ours, "/prometheus/api/v1/query_range?query=1&start=0&end=11001&step=1").await;
    assert_eq!((status.as_u16(), body.contains("bad_data")), (400, true), "{body}");
    assert_eq!(get(ours, "/prometheus/api/v1/nothing").await.0, 404);
    assert_eq!(get(ours, "/prometheus/api/v1/status/buildinfo").await.0, 200);
    collector.shutdown().await;
}
