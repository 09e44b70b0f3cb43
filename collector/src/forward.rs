//! Sends the samples of scrapes on to another store, by Prometheus' remote write 1.0: in order, from a bounded queue,
//! again and again while the other side is away.

mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::request::Encoder;
use crate::ingest::scrape::client::HttpClient;
use crate::own_metrics::OwnMetrics;
use crate::settings::ForwardUrl;
use crate::store::SeriesIndex;

/// Samples that wait; what comes beyond is dropped and counted. Each takes 24 bytes.
pub const QUEUE_SAMPLES_MAX: usize = 2_000_000;
/// Scrapes that wait.
const QUEUE_MAX: usize = 65_536;
/// Samples of one request, as many as Prometheus sends.
const REQUEST_SAMPLES_MAX: usize = 2_000;
/// Time for one request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Wait after the first failure; doubled with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// At the end what waits is sent within this time, or lost.
const LAST_TIME_MAX: Duration = Duration::from_secs(5);

/// The samples of one scrape: series, time and value.
pub type Scraped = Vec<(i64, i64, f64)>;

/// Hands samples over. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder {
    queue: mpsc::Sender<Scraped>,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<OwnMetrics>,
}

/// Sends what was handed over.
pub struct Forwarding {
    queue: mpsc::Receiver<Scraped>,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<OwnMetrics>,
    url: ForwardUrl,
    client: HttpClient,
    encoder: Encoder,
    stop: CancellationToken,
    /// Since when the end has waited for the other side.
    last_from: Option<Instant>,
}

/// What became of a request.
enum Sent {
    Done,
    /// The same request would be refused again.
    Refused(String),
    Later(String, Option<Duration>),
}

impl Forwarding {
    #[must_use]
    pub fn new(url: ForwardUrl, index: Arc<SeriesIndex>, metrics: Arc<OwnMetrics>, stop: CancellationToken) -> (Self, Forwarder) {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let waiting: Arc<AtomicUsize> = Arc::default();
        let forwarder = Forwarder { queue: sender, waiting: Arc::clone(&waiting), metrics: Arc::clone(&metrics) };
        let client = HttpClient::plain();
        let encoder = Encoder::new(index);
        (Self { queue, waiting, metrics, url, client, encoder, stop, last_from: None }, forwarder)
    }

    /// Sends until `stop`, and then what still waits.
    pub async fn run(mut self) {
        while let Some(Some(scraped)) = self.stop.clone().run_until_cancelled(self.queue.recv()).await {
            let samples = self.gather(scraped);
            self.send(&samples).await;
        }
        self.queue.close();
        self.last_from.get_or_insert_with(Instant::now);
        while let Some(scraped) = self.queue.recv().await {
            let samples = self.gather(scraped);
            self.send(&samples).await;
        }
    }

    /// What waits, up to one request.
    fn gather(&mut self, first: Scraped) -> Scraped {
        let mut samples = first;
        while samples.len() < REQUEST_SAMPLES_MAX
            && let Ok(next) = self.queue.try_recv()
        {
            samples.extend(next);
        }
        samples
    }

    async fn send(&mut self, samples: &Scraped) {
        for chunk in samples.chunks(REQUEST_SAMPLES_MAX) {
            let (body, count) = self.encoder.encode(chunk);
            let outcome = if count == 0 { "dropped" } else { self.send_until_done(body).await };
            self.metrics.forwarded(outcome, count);
            self.metrics.forwarded("dropped", chunk.len() - count);
            let left = self.waiting.fetch_sub(chunk.len(), Ordering::Relaxed).saturating_sub(chunk.len());
            self.metrics.forward_waiting(left);
        }
    }

    /// What became of a request: `sent`, `refused`, or at the end `dropped`.
    async fn send_until_done(&mut self, body: Vec<u8>) -> &'static str {
        let body = bytes::Bytes::from(body);
        let (mut backoff, mut is_away) = (BACKOFF_MIN, false);
        loop {
            let sent = tokio::select! {
                sent = self.send_once(body.clone()) => sent,
                () = ended(&self.stop, self.last_from) => return "dropped",
            };
            match sent {
                Sent::Done => {
                    if is_away {
                        info!(url = %self.url, "samples are sent on again");
                    }
                    return "sent";
                }
                Sent::Refused(why) => {
                    warn!(url = %self.url, why, "the other side refused samples");
                    return "refused";
                }
                Sent::Later(why, wait) => {
                    if !is_away {
                        warn!(url = %self.url, why, "samples cannot be sent on; trying again");
                    }
                    is_away = true;
                    tokio::select! {
                        () = tokio::time::sleep(wait.unwrap_or_default().clamp(backoff, BACKOFF_MAX)) => {}
                        () = ended(&self.stop, self.last_from) => return "dropped",
                    }
                    if self.stop.is_cancelled() {
                        self.last_from.get_or_insert_with(Instant::now);
                    }
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    async fn send_once(&self, body: bytes::Bytes) -> Sent {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        let version = HeaderName::from_static("x-prometheus-remote-write-version");
        headers.insert(version, HeaderValue::from_static("0.1.0"));
        match self.client.post(&self.url.0, headers, body, REQUEST_TIME_MAX).await {
            Ok((status, _)) if status.is_success() => Sent::Done,
            Ok((status, headers)) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                Sent::Later(status.to_string(), seconds.map(Duration::from_secs))
            }
            Ok((status, _)) => Sent::Refused(status.to_string()),
            Err(error) => Sent::Later(error.to_string(), None),
        }
    }
}

/// Some time after the end began.
async fn ended(stop: &CancellationToken, last_from: Option<Instant>) {
    stop.cancelled().await;
    tokio::time::sleep_until(last_from.unwrap_or_else(Instant::now) + LAST_TIME_MAX).await;
}

impl Forwarder {
    /// Never waits: scraping goes on whatever the other side does.
    pub fn offer(&self, scraped: Scraped) {
        let count = scraped.len();
        if count == 0 {
            return;
        }
        let before = self.waiting.fetch_add(count, Ordering::Relaxed);
        if before + count > QUEUE_SAMPLES_MAX || self.queue.try_send(scraped).is_err() {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            self.metrics.forwarded("dropped", count);
        } else {
            self.metrics.forward_waiting(before + count);
        }
    }
}
