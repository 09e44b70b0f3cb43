//! Posts spans to a Zipkin collector: a bounded queue, a task of its own, one retry, and a count of every loss.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sidelight_mesh::identity::NodeIdentity;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::zipkin_json::{self, Proxy};
use crate::metrics::{Counter, Families};
use crate::spans::SpanRecord;

/// Spans waiting for the exporter; beyond this, new ones are dropped and counted.
pub const QUEUE_SPANS_MAX: usize = 2048;
/// Spans in one report; a longer queue is sent in several.
pub const REPORT_SPANS_MAX: usize = 256;
/// Bytes read of a collector's answer before the connection is given up.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Pause before the one retry.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// When spans are sent. The defaults are Envoy's, except for the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZipkinSettings {
    /// Pending spans that make a report.
    pub flush_spans: usize,
    /// Longest time a span waits for others; Envoy's default is 5 s, ours 1 s so that traces are seen at once.
    pub flush_interval: Duration,
    /// Time for one attempt.
    pub timeout: Duration,
    /// Spans waiting at most, up to [`QUEUE_SPANS_MAX`].
    pub queue_spans_max: usize,
}

impl Default for ZipkinSettings {
    fn default() -> Self {
        Self {
            flush_spans: 5,
            flush_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            queue_spans_max: QUEUE_SPANS_MAX,
        }
    }
}

/// The collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZipkinTarget {
    /// Where to connect: `127.0.0.1:9411` or `name:9411`.
    pub authority: String,
    /// The `host` header; empty means the authority.
    pub host: String,
    /// Normally `/api/v2/spans`.
    pub path: String,
}

impl ZipkinTarget {
    /// The usual path at an address.
    #[must_use]
    pub fn new(authority: impl Into<String>) -> Self {
        Self { authority: authority.into(), host: String::new(), path: "/api/v2/spans".to_owned() }
    }
}

/// Handle of the exporter's task. Cheap to clone; the task sends what it has and ends with the last clone.
#[derive(Clone)]
pub struct ZipkinExporter(Arc<Handle>);

struct Handle {
    queue: mpsc::Sender<Message>,
    target: Arc<ArcSwapOption<ZipkinTarget>>,
    counters: SpanCounters,
}

enum Message {
    Span(Box<SpanRecord>),
    Flush(oneshot::Sender<()>),
}

/// What became of spans and reports.
#[derive(Clone, Debug)]
pub struct SpanCounters {
    /// Spans in reports that the collector accepted.
    pub spans_sent: Counter,
    /// Spans lost because the queue was full.
    pub dropped_queue_full: Counter,
    /// Spans lost because no collector was known.
    pub dropped_no_target: Counter,
    /// Spans lost because the collector refused them.
    pub dropped_refused: Counter,
    /// Spans lost because the collector could not be reached.
    pub dropped_unreachable: Counter,
    reports_sent: Counter,
    reports_dropped: Counter,
    reports_failed: Counter,
    reports_skipped: Counter,
    timer_flushed: Counter,
}

impl SpanCounters {
    fn new(families: &Families) -> Self {
        let plain = |name: &str| families.counter(&format!("envoy_tracing_zipkin_{name}"), &[]);
        let dropped = |reason| families.counter("sidelight_spans_dropped_total", &[("reason", reason)]);
        Self {
            spans_sent: plain("spans_sent"),
            reports_sent: plain("reports_sent"),
            reports_dropped: plain("reports_dropped"),
            reports_failed: plain("reports_failed"),
            reports_skipped: plain("reports_skipped_no_cluster"),
            timer_flushed: plain("timer_flushed"),
            dropped_queue_full: dropped("queue_full"),
            dropped_no_target: dropped("no_target"),
            dropped_refused: dropped("refused"),
            dropped_unreachable: dropped("unreachable"),
        }
    }

    /// Spans lost for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let reasons = [&self.dropped_queue_full, &self.dropped_no_target, &self.dropped_refused, &self.dropped_unreachable];
        reasons.iter().map(|reason| reason.get()).sum()
    }
}

impl fmt::Debug for ZipkinExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZipkinExporter").field("target", &self.0.target.load()).finish()
    }
}

impl ZipkinExporter {
    /// Starts the task on the current tokio runtime. What becomes of spans is counted in `families`.
    #[must_use]
    pub fn start(settings: ZipkinSettings, target: Option<ZipkinTarget>, identity: &NodeIdentity, families: &Families) -> Self {
        let (queue, inbox) = mpsc::channel(settings.queue_spans_max.clamp(1, QUEUE_SPANS_MAX));
        let target = Arc::new(ArcSwapOption::from_pointee(target));
        let counters = SpanCounters::new(families);
        let task = Task {
            settings,
            target: Arc::clone(&target),
            proxy: Proxy::new(identity),
            counters: counters.clone(),
            client: client(),
        };
        tokio::spawn(task.run(inbox));
        Self(Arc::new(Handle { queue, target, counters }))
    }

    /// Sends to another collector from now on; `None` drops and counts spans until there is one.
    pub fn set_target(&self, target: Option<ZipkinTarget>) {
        self.0.target.store(target.map(Arc::new));
    }

    /// Offers a span; never waits.
    pub fn offer(&self, span: SpanRecord) {
        if self.0.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.0.counters.dropped_queue_full.increment();
        }
    }

    /// Waits until everything offered so far is sent or dropped.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.queue.send(Message::Flush(done)).await.is_ok() {
            // An error means that the task is gone, and with it what there was to wait for.
            let _ = flushed.await;
        }
    }

    /// What became of spans so far.
    #[must_use]
    pub fn counters(&self) -> &SpanCounters {
        &self.0.counters
    }
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

fn client() -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(1)
        .build_http()
}

struct Task {
    settings: ZipkinSettings,
    target: Arc<ArcSwapOption<ZipkinTarget>>,
    proxy: Proxy,
    counters: SpanCounters,
    client: HttpClient,
}

/// One gathering of spans.
#[derive(Default)]
struct Batch {
    spans: Vec<SpanRecord>,
    flushed: Vec<oneshot::Sender<()>>,
    timer: bool,
}

/// Why a report was not accepted.
enum Loss {
    Unreachable,
    Refused(StatusCode),
}

impl Task {
    async fn run(self, mut inbox: mpsc::Receiver<Message>) {
        while let Some(first) = inbox.recv().await {
            let batch = self.gather(first, &mut inbox).await;
            if batch.timer {
                self.counters.timer_flushed.increment();
            }
            if !batch.spans.is_empty() {
                self.report(&batch.spans).await;
            }
            for waiter in batch.flushed {
                // Whoever waited may have given up.
                let _ = waiter.send(());
            }
        }
    }

    /// Until there are enough spans, the time is over, or somebody asks for a flush.
    async fn gather(&self, first: Message, inbox: &mut mpsc::Receiver<Message>) -> Batch {
        let deadline = Instant::now() + self.settings.flush_interval;
        let mut batch = Batch::default();
        batch.add(first);
        while batch.flushed.is_empty() && batch.spans.len() < self.settings.flush_spans {
            match timeout_at(deadline, inbox.recv()).await {
                Ok(Some(message)) => batch.add(message),
                Ok(None) => return batch,
                Err(_) => {
                    batch.timer = true;
                    break;
                }
            }
        }
        // What gathered while the last report was under way goes along.
        while batch.spans.len() < REPORT_SPANS_MAX {
            match inbox.try_recv() {
                Ok(message) => batch.add(message),
                Err(_) => break,
            }
        }
        batch
    }

    async fn report(&self, spans: &[SpanRecord]) {
        let count = spans.len() as u64;
        let Some(target) = self.target.load_full() else {
            self.counters.reports_skipped.increment();
            return self.counters.dropped_no_target.add(count);
        };
        match self.send(&target, spans).await {
            Ok(()) => {
                self.counters.reports_sent.increment();
                self.counters.spans_sent.add(count);
            }
            Err(Loss::Refused(status)) => {
                tracing::debug!(%status, count, "collector refused spans");
                self.counters.reports_dropped.increment();
                self.counters.dropped_refused.add(count);
            }
            Err(Loss::Unreachable) => {
                tracing::debug!(collector = %target.authority, count, "collector not reached");
                self.counters.reports_failed.increment();
                self.counters.dropped_unreachable.add(count);
            }
        }
    }

    async fn send(&self, target: &ZipkinTarget, spans: &[SpanRecord]) -> Result<(), Loss> {
        // Strings and numbers only: encoding cannot fail, and if it did, nobody could use the report.
        let body = Bytes::from(zipkin_json::encode(&self.proxy, spans).unwrap_or_default());
        match self.attempt(target, body.clone()).await {
            Ok(()) => Ok(()),
            // Asking again would not help.
            Err(Loss::Refused(status)) if status.is_client_error() => Err(Loss::Refused(status)),
            Err(_) => {
                sleep(RETRY_AFTER).await;
                self.attempt(target, body).await
            }
        }
    }

    async fn attempt(&self, target: &ZipkinTarget, body: Bytes) -> Result<(), Loss> {
        let host = if target.host.is_empty() { &target.authority } else { &target.host };
        let request = Request::post(format!("http://{}{}", target.authority, target.path))
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_| Loss::Unreachable)?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|_| Loss::Unreachable)?;
            let status = response.status();
            // Read to its end, so that the connection can be used again.
            let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok(status)
        };
        match timeout(self.settings.timeout, exchange).await {
            Ok(Ok(StatusCode::ACCEPTED)) => Ok(()),
            Ok(Ok(status)) => Err(Loss::Refused(status)),
            Ok(Err(loss)) => Err(loss),
            Err(_) => Err(Loss::Unreachable),
        }
    }
}

impl Batch {
    fn add(&mut self, message: Message) {
        match message {
            Message::Span(span) => self.spans.push(*span),
            Message::Flush(done) => self.flushed.push(done),
        }
    }
}
