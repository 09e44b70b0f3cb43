//! Tells of alerts: to Alertmanagers in their API v2, and to plain webhooks in the body that Alertmanager sends to those.
//!
//! Each receiver has a queue of its own, so that one that is away holds nobody up. What cannot be told is tried again a
//! few times; the next round tells of what still fires anyway.

mod body;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::alert::{Alert, State, millis};
use super::metrics::RuleMetrics;
use super::template::url_query;
use crate::causes::with_causes;
use crate::ingest::scrape::client::HttpClient;
use crate::settings::ForwardUrl;
use crate::store::Labels;

/// Alerts that wait for one receiver; further ones are dropped and counted.
pub const QUEUE_MAX: usize = 10_000;
/// Alerts of one request, as many as Prometheus sends.
const BATCH_MAX: usize = 64;
/// Time for one request.
const TIME_MAX: Duration = Duration::from_secs(10);
/// How often a request is tried.
const TRIES_MAX: u32 = 6;
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// How often an alert that fires is told of again.
pub const RESEND: Duration = Duration::from_secs(60);

/// An alert as it is told.
#[derive(Clone, Debug)]
pub struct Notice {
    pub labels: Labels,
    pub annotations: Arc<[(String, String)]>,
    pub starts_at_ms: i64,
    /// When it ended, or when to take it for ended if nothing more is heard.
    pub ends_at_ms: i64,
    pub is_resolved: bool,
    /// It was told of before, and nothing has changed.
    pub is_repeated: bool,
    pub generator_url: String,
}

impl Notice {
    /// `interval` is that of its group.
    #[must_use]
    pub fn new(alert: &Alert, expression: &str, external_url: &str, at_ms: i64, interval: Duration) -> Self {
        let is_resolved = alert.state == State::Inactive;
        let until_ms = at_ms + 4 * millis(interval.max(RESEND));
        Self {
            labels: alert.labels.clone(),
            annotations: Arc::clone(&alert.annotations),
            starts_at_ms: alert.fired_at_ms,
            ends_at_ms: alert.resolved_at_ms.unwrap_or(until_ms),
            is_resolved,
            is_repeated: match (alert.sent_at_ms, alert.resolved_at_ms) {
                (None, _) => false,
                (Some(sent_ms), Some(resolved_ms)) => resolved_ms <= sent_ms,
                (Some(_), None) => true,
            },
            generator_url: format!("{external_url}/graph?g0.expr={}&g0.tab=1", url_query(expression)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// API v2 of an Alertmanager.
    Alertmanager,
    Webhook,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Webhook => "webhook",
        }
    }
}

/// Who is told of alerts. Cheap to clone.
#[derive(Clone)]
pub struct Notifier {
    queues: Arc<[(Protocol, mpsc::Sender<Notice>)]>,
    metrics: RuleMetrics,
}

impl Notifier {
    /// Starts a task for each receiver. They end after `stop`, when what waits was told once more.
    #[must_use]
    pub fn start(
        receivers: Vec<(Protocol, ForwardUrl)>,
        external_url: &Arc<str>,
        metrics: &RuleMetrics,
        stop: &CancellationToken,
    ) -> (Self, Vec<JoinHandle<()>>) {
        let (mut queues, mut tasks) = (Vec::new(), Vec::new());
        for (protocol, url) in receivers {
            let (sender, queue) = mpsc::channel(QUEUE_MAX);
            let receiver = Receiver {
                protocol,
                address: address(protocol, &url),
                shown: url,
                external_url: Arc::clone(external_url),
                queue,
                client: HttpClient::plain(),
                metrics: metrics.clone(),
                stop: stop.clone(),
            };
            queues.push((protocol, sender));
            tasks.push(tokio::spawn(receiver.run()));
        }
        (Self { queues: queues.into(), metrics: metrics.clone() }, tasks)
    }

    /// Never waits.
    pub fn tell(&self, notices: &[Notice]) {
        for (protocol, queue) in &*self.queues {
            // Whoever is not an Alertmanager does not know that it was told before.
            for notice in notices.iter().filter(|notice| *protocol == Protocol::Alertmanager || !notice.is_repeated) {
                match queue.try_send(notice.clone()) {
                    Ok(()) => self.metrics.waiting(1),
                    Err(_) => self.metrics.notified(protocol.name(), "dropped", 1),
                }
            }
        }
    }
}

/// Where an Alertmanager takes alerts; a webhook is named whole.
#[must_use]
pub fn address(protocol: Protocol, url: &ForwardUrl) -> String {
    match protocol {
        Protocol::Alertmanager => format!("{}/api/v2/alerts", url.0.trim_end_matches('/')),
        Protocol::Webhook => url.0.clone(),
    }
}

struct Receiver {
    protocol: Protocol,
    address: String,
    shown: ForwardUrl,
    external_url: Arc<str>,
    queue: mpsc::Receiver<Notice>,
    client: HttpClient,
    metrics: RuleMetrics,
    stop: CancellationToken,
}

enum Sent {
    Done,
    Refused(StatusCode),
    Later(String),
}

impl Receiver {
    async fn run(mut self) {
        while let Some(Some(first)) = self.stop.clone().run_until_cancelled(self.queue.recv()).await {
            self.batch(first).await;
        }
        self.queue.close();
        while let Ok(first) = self.queue.try_recv() {
            self.batch(first).await;
        }
    }

    async fn batch(&mut self, first: Notice) {
        let mut notices = vec![first];
        while notices.len() < BATCH_MAX
            && let Ok(next) = self.queue.try_recv()
        {
            notices.push(next);
        }
        self.metrics.waiting(-(notices.len() as i64));
        let bodies = match self.protocol {
            Protocol::Alertmanager => vec![(notices.len(), body::alertmanager(&notices))],
            Protocol::Webhook => body::webhook(&notices, &self.external_url),
        };
        for (count, body) in bodies {
            let outcome = self.send(body.into()).await;
            self.metrics.notified(self.protocol.name(), outcome, count);
        }
    }

    async fn send(&self, body: Bytes) -> &'static str {
        let mut backoff = BACKOFF_MIN;
        for attempt in 1..=TRIES_MAX {
            let why = match self.once(body.clone()).await {
                Sent::Done => {
                    if attempt > 1 {
                        info!(receiver = %self.shown, "alerts are told of again");
                    }
                    return "sent";
                }
                Sent::Refused(status) => {
                    warn!(receiver = %self.shown, %status, "alerts were refused");
                    return "refused";
                }
                Sent::Later(why) => why,
            };
            if attempt == 1 {
                warn!(receiver = %self.shown, why, "alerts cannot be told of; trying again");
            }
            if attempt == TRIES_MAX || self.stop.run_until_cancelled(tokio::time::sleep(backoff)).await.is_none() {
                break;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        "dropped"
    }

    async fn once(&self, body: Bytes) -> Sent {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        match self.client.post(&self.address, headers, body, TIME_MAX).await {
            Ok((status, _)) if status.is_success() => Sent::Done,
            Ok((status, _)) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Sent::Later(status.to_string())
            }
            Ok((status, _)) => Sent::Refused(status),
            Err(error) => Sent::Later(with_causes(&error)),
        }
    }
}
