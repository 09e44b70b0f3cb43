//! As much as a door takes, and what taking it costs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;

use super::access_logs;
use super::client::{Answer, Sender, channel};
use super::raw_codec::Raw;
use super::report::{DoorRow, OverRow, PacedRow};
use super::server::{Counted, GRPC, OTLP_HTTP, Server, ZIPKIN};
use super::spans::{Encoding, templates};
use super::template::Template;

/// A door, what is sent, and what it is meant to reach.
pub struct Door {
    pub name: &'static str,
    kind: Kind,
    items: u64,
    /// Items per processor second of the collector.
    goal: f64,
    /// Bytes that an item may take on disk; 0 without a goal.
    bytes_goal: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    OtlpGrpc { batch: usize },
    OtlpHttp { batch: usize },
    Zipkin { batch: usize },
    Als,
}

pub const DOORS: &[Door] = &[
    Door {
        name: "otlp-grpc, 512 spans",
        kind: Kind::OtlpGrpc { batch: 512 },
        items: 1_000_000,
        goal: 100_000.0,
        bytes_goal: 100.0,
    },
    Door { name: "otlp-grpc, 32 spans", kind: Kind::OtlpGrpc { batch: 32 }, items: 300_000, goal: 0.0, bytes_goal: 100.0 },
    Door { name: "otlp-http, 512 spans", kind: Kind::OtlpHttp { batch: 512 }, items: 500_000, goal: 0.0, bytes_goal: 100.0 },
    Door { name: "zipkin json, 512 spans", kind: Kind::Zipkin { batch: 512 }, items: 500_000, goal: 90_000.0, bytes_goal: 100.0 },
    Door { name: "als, 20 entries", kind: Kind::Als, items: 2_000_000, goal: 400_000.0, bytes_goal: 0.0 },
];

/// Bodies that are under way at the same time.
const CONCURRENCY: usize = 16;
/// Bodies under way when there are more than a door has places for.
const CONCURRENCY_OVER: usize = 256;
/// Spans that are sent then.
const ITEMS_OVER: u64 = 300_000;
/// Streams of access logs, one for each proxy.
const STREAMS: usize = 64;
/// How long a busy door is left alone.
const BACKOFF: Duration = Duration::from_millis(20);
/// All that was acknowledged must be counted by then.
const COUNTED: Duration = Duration::from_secs(60);
/// Spans per second of the paced load, and for how long.
const PACED_PER_S: u64 = 20_000;
const PACED: Duration = Duration::from_secs(15);

#[derive(Default)]
struct Sent {
    /// With those that were refused and sent again.
    sent: u64,
    acknowledged: u64,
    busy_answers: u64,
    latencies: Vec<Duration>,
}

pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

async fn sender(kind: Kind) -> Result<Sender> {
    match kind {
        Kind::OtlpGrpc { .. } | Kind::Als => Sender::otlp(GRPC).await,
        Kind::OtlpHttp { .. } => Ok(Sender::http(OTLP_HTTP, "/v1/traces", "application/x-protobuf")),
        Kind::Zipkin { .. } => Ok(Sender::http(ZIPKIN, "/api/v2/spans", "application/json")),
    }
}

fn bodies(kind: Kind, base_us: u64) -> Vec<Template> {
    match kind {
        Kind::OtlpGrpc { batch } | Kind::OtlpHttp { batch } => templates(Encoding::Otlp, batch, base_us),
        Kind::Zipkin { batch } => templates(Encoding::ZipkinJson, batch, base_us),
        Kind::Als => Vec::new(),
    }
}

pub async fn measure(binary: &Path, folder: &Path, door: &Door) -> Result<DoorRow> {
    println!("  {} …", door.name);
    let data = folder.join(door.name.replace([' ', ','], "-"));
    let server = Server::start(binary, data.clone(), &[]).await?;
    let base_us = now_us() - 2_000_000;
    let templates = Arc::new(bodies(door.kind, base_us));
    let signal = if door.kind == Kind::Als { "logs" } else { "spans" };
    let cpu_before = server.running().cpu()?;
    let started = Instant::now();
    let sent = match door.kind {
        Kind::Als => stream_logs(door.items, base_us).await?,
        kind => {
            load(sender(kind).await?, &templates, &Load { items: door.items, senders: CONCURRENCY, per_s: None }, base_us).await?
        }
    };
    let wall = started.elapsed();
    let counted = until_counted(&server, signal, &sent).await?;
    let cpu = server.running().cpu()? - cpu_before;
    let peak_mib = server.running().peak_mib()?;
    if signal == "spans" {
        are_searchable(&server, &templates).await?;
    }
    let database = server.settle(binary).await?;
    let _ = std::fs::remove_dir_all(&data);
    let stored = counted.stored as f64;
    Ok(DoorRow {
        name: door.name.to_owned(),
        problem: String::new(),
        items: counted.stored,
        per_wall_s: stored / wall.as_secs_f64(),
        per_cpu_s: stored / cpu.as_secs_f64(),
        cpu_s_per_million: cpu.as_secs_f64() * 1e6 / stored,
        goal_per_cpu_s: door.goal,
        ack_p50_ms: percentile_ms(&sent.latencies, 50),
        ack_p99_ms: percentile_ms(&sent.latencies, 99),
        peak_mib,
        wire_bytes_per_item: wire_bytes(&templates),
        bytes_per_item: database as f64 / stored,
        bytes_goal: door.bytes_goal,
        sent: sent.sent,
        acknowledged: sent.acknowledged,
        busy_answers: sent.busy_answers,
        received: counted.received,
        stored: counted.stored,
        refused: counted.refused,
    })
}

/// Puts spans into a store, as fast as it takes them, and returns how many those are.
pub async fn fill(server: &Server, items: u64) -> Result<u64> {
    let kind = Kind::OtlpGrpc { batch: 512 };
    let base_us = now_us() - 2_000_000;
    let templates = Arc::new(bodies(kind, base_us));
    let load_of = Load { items, senders: CONCURRENCY, per_s: None };
    let sent = load(sender(kind).await?, &templates, &load_of, base_us).await?;
    Ok(until_counted(server, "spans", &sent).await?.stored)
}

/// A fleet's steady load, for memory and for the time until a batch is durable.
pub async fn paced(binary: &Path, folder: &Path) -> Result<PacedRow> {
    println!("  {PACED_PER_S} spans/s …");
    let kind = Kind::OtlpGrpc { batch: 512 };
    let server = Server::start(binary, folder.join("paced"), &[]).await?;
    let base_us = now_us() - 2_000_000;
    let templates = Arc::new(bodies(kind, base_us));
    let before = server.running().cpu()?;
    let started = Instant::now();
    let load_of = Load { items: PACED_PER_S * PACED.as_secs(), senders: CONCURRENCY, per_s: Some(PACED_PER_S) };
    let sent = load(sender(kind).await?, &templates, &load_of, base_us).await?;
    let wall = started.elapsed();
    let counted = until_counted(&server, "spans", &sent).await?;
    let row = PacedRow {
        door: "otlp-grpc".to_owned(),
        spans_per_s: counted.stored as f64 / wall.as_secs_f64(),
        cpu_percent: (server.running().cpu()? - before).as_secs_f64() / wall.as_secs_f64() * 100.0,
        ack_p50_ms: percentile_ms(&sent.latencies, 50),
        ack_p99_ms: percentile_ms(&sent.latencies, 99),
        peak_mib: server.running().peak_mib()?,
    };
    server.settle(binary).await?;
    Ok(row)
}

/// More requests at once than the door has places for: the others are told to try again, and none is lost.
pub async fn overloaded(binary: &Path, folder: &Path) -> Result<OverRow> {
    println!("  {CONCURRENCY_OVER} requests at once …");
    let kind = Kind::OtlpGrpc { batch: 512 };
    let server = Server::start(binary, folder.join("overloaded"), &[]).await?;
    let base_us = now_us() - 2_000_000;
    let templates = Arc::new(bodies(kind, base_us));
    let load_of = Load { items: ITEMS_OVER, senders: CONCURRENCY_OVER, per_s: None };
    let sent = load(sender(kind).await?, &templates, &load_of, base_us).await?;
    let started = Instant::now();
    // A request that finds no place is not read: it counts as one item, whatever it has.
    loop {
        let counted = server.counted("spans").await?;
        if counted.stored == sent.acknowledged && counted.received == counted.stored + counted.refused {
            break;
        }
        ensure!(started.elapsed() < COUNTED, "{} acknowledged, and the collector counts {counted:?}", sent.acknowledged);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let row = OverRow {
        door: "otlp-grpc".to_owned(),
        requests_at_once: CONCURRENCY_OVER,
        acknowledged: sent.acknowledged,
        busy_answers: sent.busy_answers,
        peak_mib: server.running().peak_mib()?,
    };
    server.settle(binary).await?;
    Ok(row)
}

/// What is sent: so many items, by so many senders; `per_s` items a second, or as many as are taken.
struct Load {
    items: u64,
    senders: usize,
    per_s: Option<u64>,
}

/// Sends until all is acknowledged.
async fn load(sender: Sender, templates: &Arc<Vec<Template>>, load: &Load, base_us: u64) -> Result<Sent> {
    let (first, per_s) = (templates.first().context("no bodies")?.items, load.per_s);
    let (bodies, next, started) = (load.items / first, Arc::new(AtomicU64::new(0)), Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..load.senders {
        let (sender, templates, next) = (sender.clone(), Arc::clone(templates), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut sent = Sent::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= bodies {
                    return Ok(sent);
                }
                if let Some(per_s) = per_s {
                    let due = Duration::from_secs_f64(number as f64 * first as f64 / per_s as f64);
                    tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
                }
                let template = &templates[number as usize % templates.len()];
                let body = template.stamp(number / templates.len() as u64, now_us() - base_us - 1_000_000);
                send(&sender, template.items, body, &mut sent).await?;
            }
        }));
    }
    let mut all = Sent::default();
    for task in tasks {
        let part: Result<Sent> = task.await.context("a sender ended early")?;
        let part = part?;
        all.sent += part.sent;
        all.acknowledged += part.acknowledged;
        all.busy_answers += part.busy_answers;
        all.latencies.extend(part.latencies);
    }
    Ok(all)
}

async fn send(sender: &Sender, items: u64, body: Vec<u8>, sent: &mut Sent) -> Result<()> {
    loop {
        let started = Instant::now();
        sent.sent += items;
        match sender.send(body.clone()).await {
            Answer::Taken => {
                sent.acknowledged += items;
                sent.latencies.push(started.elapsed());
                return Ok(());
            }
            Answer::Busy => {
                sent.busy_answers += 1;
                tokio::time::sleep(BACKOFF).await;
            }
            Answer::Failed(error) => bail!("a body was refused: {error}"),
        }
    }
}

/// One stream for each proxy, all at once; what is acknowledged is a stream's end.
async fn stream_logs(items: u64, base_us: u64) -> Result<Sent> {
    const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
    let channel = channel(GRPC).await?;
    let mut tasks = Vec::new();
    for proxy in access_logs::proxies(STREAMS, base_us) {
        let (channel, (sender, receiver)) = (channel.clone(), tokio::sync::mpsc::channel::<Bytes>(4));
        let answered = tokio::spawn(async move {
            let mut grpc = tonic::client::Grpc::new(channel);
            grpc.ready().await?;
            let path = hyper::http::uri::PathAndQuery::from_static(PATH);
            let answer = grpc.client_streaming(Request::new(ReceiverStream::new(receiver)), path, Raw).await;
            anyhow::Ok(answer.map(|_| ())?)
        });
        tasks.push(tokio::spawn(async move {
            let mut sent = 0;
            sender.send(proxy.identifier.into()).await.context("a stream broke off")?;
            for number in 0_u64.. {
                if sent >= items / STREAMS as u64 {
                    break;
                }
                let template = &proxy.batches[number as usize % proxy.batches.len()];
                sender.send(template.stamp(number, 0).into()).await.context("a stream broke off")?;
                sent += template.items;
            }
            drop(sender);
            answered.await.context("a stream ended early")??;
            anyhow::Ok(sent)
        }));
    }
    let mut all = Sent::default();
    for task in tasks {
        let sent = task.await.context("a stream ended early")??;
        all.sent += sent;
        all.acknowledged += sent;
    }
    Ok(all)
}

async fn until_counted(server: &Server, signal: &str, sent: &Sent) -> Result<Counted> {
    let started = Instant::now();
    loop {
        let counted = server.counted(signal).await?;
        if counted.received >= sent.sent && counted.received == counted.stored + counted.refused {
            ensure!(counted.received == sent.sent, "{} received, {} sent", counted.received, sent.sent);
            ensure!(counted.stored == sent.acknowledged, "{} stored, {} acknowledged", counted.stored, sent.acknowledged);
            return Ok(counted);
        }
        ensure!(started.elapsed() < COUNTED, "sent {} of {signal}, and the collector counts {counted:?}", sent.sent);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Some of what was sent is found by a search, with all that was said.
async fn are_searchable(server: &Server, templates: &[Template]) -> Result<()> {
    ensure!(!templates.is_empty(), "nothing was sent");
    let list = server.get("/api/traces?service=reviews.shop&duration=1h&limit=20").await?;
    let list: sidelight_api::trace::TraceList = serde_json::from_str(&list).context("/api/traces")?;
    ensure!(list.traces.len() == 20, "a search finds {} traces instead of 20", list.traces.len());
    Ok(())
}

fn wire_bytes(templates: &[Template]) -> f64 {
    let items: u64 = templates.iter().map(|template| template.items).sum();
    templates.iter().map(Template::bytes).sum::<usize>() as f64 / items.max(1) as f64
}

fn percentile_ms(latencies: &[Duration], percent: usize) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}
