//! A client that sends batches of spans, and remembers what was acknowledged.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::random::Random;

/// Answers that asked to try again, of all clients.
pub static REFUSED: AtomicU64 = AtomicU64::new(0);

/// An answer takes no longer, but from a collector that hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// A client that is told to wait a second asks sooner here.
const PAUSE: Duration = Duration::from_millis(20);

static CLIENT: LazyLock<Client<HttpConnector, Full<Bytes>>> =
    LazyLock::new(|| Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_millis(500)).build_http());

/// One trace.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub number: u64,
    pub spans: usize,
    /// The answer was awaited until it said that all is stored; otherwise nobody knows.
    pub acknowledged: bool,
}

impl Batch {
    pub fn trace_id(&self) -> String {
        format!("{:016x}{:016x}", 0xd0ab_1e00_0000_0000_u64, self.number)
    }

    pub fn span_id(&self, index: usize) -> String {
        format!("{:016x}", self.number * 1_000 + index as u64 + 1)
    }

    /// Every other batch goes through OTLP's door: port, path, body, and what says that it is stored.
    fn request(&self, now_us: u64) -> (u16, &'static str, String, StatusCode) {
        match self.number % 2 {
            0 => (9411, "/api/v2/spans", self.zipkin(now_us), StatusCode::ACCEPTED),
            _ => (4318, "/v1/traces", self.otlp(now_us), StatusCode::OK),
        }
    }

    fn otlp(&self, now_us: u64) -> String {
        let span = |index: usize| {
            let start_us = now_us - 1_000 + index as u64;
            json!({
                "traceId": self.trace_id(), "spanId": self.span_id(index), "name": format!("operation-{}", index % 7), "kind": 2,
                "startTimeUnixNano": (start_us * 1_000).to_string(), "endTimeUnixNano": (start_us * 1_000 + 500_000).to_string(),
                "attributes": [{"key": "batch", "value": {"intValue": self.number.to_string()}}]
            })
        };
        let spans: Vec<Value> = (0..self.spans).map(span).collect();
        let service = json!({"key": "service.name", "value": {"stringValue": format!("service-{}", self.number % 5)}});
        json!({"resourceSpans": [{"resource": {"attributes": [service]}, "scopeSpans": [{"spans": spans}]}]}).to_string()
    }

    fn zipkin(&self, now_us: u64) -> String {
        let span = |index: usize| {
            json!({
                "traceId": self.trace_id(), "id": self.span_id(index), "name": format!("operation-{}", index % 7),
                "kind": "SERVER", "timestamp": now_us - 1_000 + index as u64, "duration": 500 + index,
                "localEndpoint": {"serviceName": format!("service-{}", self.number % 5)},
                "tags": {"http.status_code": "200", "batch": self.number.to_string()}
            })
        };
        Value::Array((0..self.spans).map(span).collect()).to_string()
    }
}

/// Counts the batches of all clients.
#[derive(Default)]
pub struct Numbers {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

impl Numbers {
    /// Waits until more than so many were acknowledged.
    pub async fn acknowledged_over(&self, count: u64) {
        let began = Instant::now();
        while self.acknowledged.load(Ordering::Relaxed) <= count {
            assert!(began.elapsed() < ANSWER_LIMIT, "no more than {count} batches are acknowledged");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Sends batch after batch until `stop`, each until it is acknowledged; now and then it gives one up that got no answer.
pub async fn send_spans(address: Ipv4Addr, numbers: Arc<Numbers>, random: Arc<Random>, stop: Arc<AtomicBool>) -> Vec<Batch> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let spans = random.between(1, 120) as usize;
        let mut batch = Batch { number: numbers.sent.fetch_add(1, Ordering::Relaxed), spans, acknowledged: false };
        let now_us = sidelight_collector::clock::now_ms() as u64 * 1_000;
        let (port, path, body, stored) = batch.request(now_us);
        let body = Bytes::from(body);
        loop {
            match post(address, port, path, body.clone()).await {
                Some((status, answer)) if status == stored => {
                    assert!(!answer.windows(8).any(|word| word == b"rejected"), "{}", String::from_utf8_lossy(&answer));
                    batch.acknowledged = true;
                    numbers.acknowledged.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Some((status, answer)) => {
                    REFUSED.fetch_add(1, Ordering::Relaxed);
                    let is_retryable = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
                    assert!(is_retryable, "{status}: {}", String::from_utf8_lossy(&answer));
                }
                None if random.between(0, 8) == 0 => break,
                None => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
        sent.push(batch);
    }
    sent
}

pub async fn get(address: Ipv4Addr, path: &str) -> Option<(StatusCode, Bytes)> {
    send(Request::get(format!("http://{address}:20001{path}")).body(Full::default()).unwrap()).await
}

pub async fn get_json(address: Ipv4Addr, path: &str) -> Value {
    let (status, body) = get(address, path).await.unwrap_or_else(|| panic!("no answer to {path}"));
    assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

pub async fn post(address: Ipv4Addr, port: u16, path: &str, body: Bytes) -> Option<(StatusCode, Bytes)> {
    let request = Request::post(format!("http://{address}:{port}{path}")).header("content-type", "application/json");
    send(request.body(Full::new(body)).unwrap()).await
}

/// `None` when the answer broke off, or never came.
async fn send(request: Request<Full<Bytes>>) -> Option<(StatusCode, Bytes)> {
    let is_door = request.method() == Method::POST;
    let answer = async {
        let response = CLIENT.request(request).await.ok()?;
        let status = response.status();
        let says_when = response.headers().contains_key("retry-after");
        let must_say = status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::SERVICE_UNAVAILABLE && is_door);
        assert!(says_when || !must_say, "{status} without Retry-After");
        Some((status, response.into_body().collect().await.ok()?.to_bytes()))
    };
    tokio::time::timeout(ANSWER_LIMIT, answer).await.ok().flatten()
}
