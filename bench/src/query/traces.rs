//! Questions about traces, as Jaeger's clients ask them, over as many spans as fit.
//!
//! The collector is the optimised binary in a process of its own; what is measured is the time from the request to the whole
//! answer, on this machine.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::collector::server::{Server, ZIPKIN};
use crate::collector::{binary, client, doors};

/// Spans without being told; the goal is for ten million.
const SPANS: u64 = 1_000_000;
/// How many, of this variable.
const SPANS_VARIABLE: &str = "SIDELIGHT_BENCH_SPANS";
/// Times that each question is asked.
const ASKED: usize = 15;
/// A trace as large as they come.
const LARGE: &str = "0000000000abcdef";
const LARGE_SPANS: u64 = 10_000;
const LARGE_BODY: u64 = 1_000;
/// Goals of the issue.
const SEARCH_GOAL: Duration = Duration::from_millis(300);
const LARGE_GOAL: Duration = Duration::from_secs(1);

struct Question {
    name: &'static str,
    path: String,
    goal: Duration,
}

pub async fn measure(folder: &Path) -> Result<()> {
    let binary = binary()?;
    let spans = std::env::var(SPANS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(SPANS);
    let server = Server::start(&binary, folder.join("traces"), &[]).await?;
    let started = Instant::now();
    let stored = doors::fill(&server, spans).await?;
    println!("  {stored} spans in {:.0?}", started.elapsed());
    large_trace().await?;
    server.rest().await?;
    println!("  {:<44} {:>9} {:>9} {:>10}   goal", "question", "p50", "max", "bytes");
    for question in questions(&server).await? {
        ask(&server, &question).await?;
    }
    println!("  peak memory {:.0} MiB", server.running().peak_mib()?);
    server.settle(&binary).await.map(|_| ())
}

async fn ask(server: &Server, question: &Question) -> Result<()> {
    let (mut times, mut bytes) = (Vec::with_capacity(ASKED), 0);
    for _ in 0..ASKED {
        let asked = Instant::now();
        bytes = server.get(&question.path).await?.len();
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    let (p50, max) = (times[ASKED / 2], times[ASKED - 1]);
    let verdict = if p50 <= question.goal { "met" } else { "MISSED" };
    println!("  {:<44} {:>9.1?} {:>9.1?} {:>10}   {:?} {verdict}", question.name, p50, max, bytes, question.goal);
    Ok(())
}

/// Common ones, and the ones that have to look at everything.
async fn questions(server: &Server) -> Result<Vec<Question>> {
    const SEARCH: &str = "/jaeger/api/traces?service=reviews.shop&limit=20";
    let found: Value = serde_json::from_str(&server.get(SEARCH).await?).context("a search")?;
    let trace = &found["data"][19];
    let id = trace["traceID"].as_str().context("a search finds 20 traces")?;
    let tags = trace["spans"].as_array().into_iter().flatten().flat_map(|span| span["tags"].as_array().into_iter().flatten());
    let request_id = tags.clone().find(|tag| tag["key"] == "guid:x-request-id").context("a span has a request id")?;
    let request_id = request_id["value"].as_str().context("a request id is a text")?;
    let question = |name: &'static str, path: String| Question { name, path, goal: SEARCH_GOAL };
    let search = |more: &str| format!("{SEARCH}&{more}");
    Ok(vec![
        question("service, newest 20", SEARCH.to_owned()),
        question("service, newest 100", SEARCH.replace("=20", "=100")),
        question("service and operation", search("operation=reviews.shop.svc.cluster.local:8080%2F*")),
        question("failed", search("tags=%7B%22error%22%3A%22true%22%7D")),
        question("status 503 over GET", search("tag=http.status_code:503&tag=http.method:GET")),
        question("slow, a few in a thousand", search("minDuration=30ms")),
        question("one request id among all", search(&format!("tag=guid:x-request-id:{request_id}"))),
        question("a tag that nobody has", search("tag=no.such:thing")),
        question("slower than anything", search("minDuration=1h")),
        question("a trace by its id", format!("/jaeger/api/traces/{id}")),
        question("a trace by its id, v3", format!("/jaeger/api/v3/traces/{id}")),
        Question { goal: LARGE_GOAL, ..question("a trace of 10,000 spans", format!("/jaeger/api/traces/{LARGE}")) },
        question("services", "/jaeger/api/services".to_owned()),
        question("operations of a service", "/jaeger/api/operations?service=reviews.shop".to_owned()),
        question("dependencies", "/jaeger/api/dependencies".to_owned()),
    ])
}

/// One root with all others below it.
async fn large_trace() -> Result<()> {
    let http = client::Http::new();
    let at_us = doors::now_us() - 60_000_000;
    for part in 0..LARGE_SPANS / LARGE_BODY {
        let ids = part * LARGE_BODY + 1..=(part + 1) * LARGE_BODY;
        let spans: Vec<Value> = ids.map(|id| large_span(id, at_us)).collect();
        let body = serde_json::to_vec(&spans)?.into();
        let (status, answer) = http.post(ZIPKIN, "/api/v2/spans", "application/json", body).await?;
        ensure!(status == 202, "spans are answered with {status}: {answer}");
    }
    Ok(())
}

fn large_span(id: u64, at_us: u64) -> Value {
    let mut span = json!({"traceId": LARGE, "id": format!("{id:016x}"), "kind": "CLIENT", "name": "GET /items",
        "timestamp": at_us + id * 10, "duration": 900, "localEndpoint": {"serviceName": "batch.shop"},
        "tags": {"component": "proxy", "http.status_code": "200", "http.url": format!("http://items:8080/{id}")}});
    if id > 1 {
        span["parentId"] = format!("{:016x}", 1).into();
    }
    span
}
