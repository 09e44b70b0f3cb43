//! One exporter at work: takes blocks from the queue, filters, sends, and deletes what has arrived.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::batch::{Request, requests};
use super::client::{Client, SendError};
use super::filter::SpanFilter;
use super::report::Report;
use super::retry::Backoff;
use super::settings::ExportSettings;
use crate::clock::now_ms;
use crate::store::{Claim, ExportQueue, Span, StoreError, span_block};

/// How long a collector holds blocks; when it is killed, another one sends them after that.
pub const LEASE: Duration = Duration::from_secs(120);
/// Time between two looks at the size of the queue.
const MEASURE_INTERVAL: Duration = Duration::from_secs(2);
/// Longest sleep when there is nothing to send.
const IDLE: Duration = Duration::from_millis(500);
/// Wait after the database refused.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Sends the spans of one queue to one backend.
pub struct Exporter {
    name: &'static str,
    client: Client,
    filter: SpanFilter,
    settings: ExportSettings,
    queue: Arc<dyn ExportQueue>,
    report: Report,
    /// Names this process in the queue.
    holder: i64,
    work: Option<Work>,
    backoff: Backoff,
    /// Not before then, after a failure.
    next_try: Instant,
    measured: Option<Instant>,
}

/// What is being sent: it stays in memory through failures, so that what has arrived is not sent again.
struct Work {
    blocks: Vec<i64>,
    requests: VecDeque<Request>,
    leased_until: Instant,
}

impl Exporter {
    #[must_use]
    pub fn new(
        name: &'static str,
        client: Client,
        settings: &ExportSettings,
        queue: Arc<dyn ExportQueue>,
        report: Report,
    ) -> Self {
        Self {
            name,
            client,
            filter: settings.filter.clone(),
            settings: settings.clone(),
            queue,
            report,
            holder: rand::random_range(1..i64::MAX),
            work: None,
            backoff: Backoff::default(),
            next_try: Instant::now(),
            measured: None,
        }
    }

    /// Sends until `stop`; what has not arrived then stays in the queue.
    pub async fn run(mut self, stop: CancellationToken) {
        let steps = async {
            loop {
                let wait = match self.step().await {
                    Ok(wait) => wait,
                    Err(error) => {
                        warn!(exporter = self.name, %error, "the queue of spans to export cannot be reached");
                        STORE_WAIT
                    }
                };
                tokio::time::sleep(wait).await;
            }
        };
        stop.run_until_cancelled(steps).await;
        if let Some(work) = self.work.take()
            && let Err(error) = self.queue.release(self.holder, &work.blocks).await
        {
            warn!(exporter = self.name, %error, "spans to export are held for {LEASE:?} more");
        }
    }

    /// One request, or less; returns how long to wait before the next step. The work stays in `self` throughout: what is
    /// stopped or refused by the database in the middle goes on where it was, and is given back at the end.
    async fn step(&mut self) -> Result<Duration, StoreError> {
        self.measure().await?;
        if self.work.is_none() {
            self.work = self.take().await?;
        }
        self.hold().await?;
        let Some(work) = &self.work else { return Ok(IDLE.min(self.settings.batch_delay)) };
        let wait = self.next_try.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            return Ok(wait.min(MEASURE_INTERVAL));
        }
        let Some((spans, message)) = work.requests.front().cloned() else {
            // Not lost when this fails: it is tried again, and after a kill the blocks are given out again.
            self.queue.done(&work.blocks).await?;
            self.work = None;
            return Ok(Duration::ZERO);
        };
        let started = Instant::now();
        let result = self.client.send(message).await;
        if self.judge(spans as u64, result, started.elapsed())
            && let Some(work) = &mut self.work
        {
            work.requests.pop_front();
        }
        Ok(Duration::ZERO)
    }

    /// Whether the request is settled, one way or the other.
    fn judge(&mut self, spans: u64, result: Result<super::Delivery, SendError>, took: Duration) -> bool {
        match result {
            Ok(delivery) => {
                self.backoff.succeeded();
                let refused = delivery.refused.min(spans);
                self.report.delivered(spans - refused, took);
                self.report.dropped("partial_success", refused, &delivery.message);
                true
            }
            Err(SendError::Refused { what }) => {
                self.backoff.succeeded();
                self.report.refused(&what, took);
                self.report.dropped("refused", spans, &what);
                true
            }
            Err(SendError::Retry { what, asked }) => {
                self.report.failed(&what, took);
                self.next_try = Instant::now() + self.backoff.failed(asked);
                false
            }
        }
    }

    async fn take(&self) -> Result<Option<Work>, StoreError> {
        let now_ms = now_ms();
        let claim = Claim {
            exporter: self.name,
            holder: self.holder,
            now_ms,
            until_ms: now_ms + millis(LEASE),
            items: self.settings.batch_spans as u64,
            overdue_before_ms: now_ms - millis(self.settings.batch_delay),
        };
        let leased_until = Instant::now() + LEASE;
        let claimed = self.queue.claim(&claim).await?;
        if claimed.is_empty() {
            return Ok(None);
        }
        let mut spans = Vec::new();
        let mut blocks = Vec::with_capacity(claimed.len());
        for block in claimed {
            blocks.push(block.id);
            match span_block::decode(&block.data) {
                Ok(decoded) if block.is_judged => spans.extend(self.kept(decoded).await?),
                Ok(decoded) => spans.extend(decoded),
                Err(error) => self.report.dropped("corrupt", block.items, &error.to_string()),
            }
        }
        let all = spans.len() as u64;
        spans.retain(|span: &Span| self.filter.passes(span));
        self.report.filtered(all - spans.len() as u64);
        let requests = requests(self.client.destination().protocol, spans, self.settings.batch_spans);
        Ok(Some(Work { blocks, requests: requests.into(), leased_until }))
    }

    /// Without the spans of traces that were judged out.
    async fn kept(&self, mut spans: Vec<Span>) -> Result<Vec<Span>, StoreError> {
        let places: Vec<_> = spans.iter().map(|span| (span.trace_id, span.start_us())).collect();
        let out = self.queue.judged_out(&places).await?;
        let all = spans.len() as u64;
        spans.retain(|span| !out.contains(&span.trace_id));
        self.report.judged_out(all - spans.len() as u64);
        Ok(spans)
    }

    /// Holds the blocks for longer when half the lease is over; nothing is left when others have taken them.
    async fn hold(&mut self) -> Result<(), StoreError> {
        let Some(work) = &mut self.work else { return Ok(()) };
        if work.leased_until.saturating_duration_since(Instant::now()) > LEASE / 2 {
            return Ok(());
        }
        let leased_until = Instant::now() + LEASE;
        let held = self.queue.renew(self.holder, &work.blocks, now_ms() + millis(LEASE)).await?;
        if held == work.blocks.len() as u64 {
            work.leased_until = leased_until;
            return Ok(());
        }
        warn!(exporter = self.name, "another collector sends what this one was too slow for");
        self.queue.release(self.holder, &work.blocks).await?;
        self.work = None;
        Ok(())
    }

    /// Keeps the queue within its bound and tells how long it is.
    async fn measure(&mut self) -> Result<(), StoreError> {
        if self.measured.is_some_and(|at| at.elapsed() < MEASURE_INTERVAL) {
            return Ok(());
        }
        self.measured = Some(Instant::now());
        let bound = self.settings.queue_bytes;
        let mut state = self.queue.queue_state(self.name).await?;
        if state.bytes > bound {
            let dropped = self.queue.trim_to(self.name, bound, now_ms()).await?;
            self.report.dropped("queue_full", dropped, "the backend was away for too long");
            state = self.queue.queue_state(self.name).await?;
        }
        self.report.queue(&state);
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
