//! The paced load client: so many requests per second whatever the answers take, and an exact account of them.

mod histogram;
mod report;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use report::{LatencyMs, LoadReport};

use crate::client::{HttpClient, Route};
use report::Tally;

/// A client that is further behind its pace than this leaves out what it missed, instead of sending it all at once.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// Takes the counts so far.
pub type Tell = fn(&LoadReport);

#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Asked in turn.
    pub urls: Vec<Uri>,
    pub headers: HeaderMap,
    /// Requests per second; without it, as fast as `concurrency` allows.
    pub rps: Option<f64>,
    /// Most requests in flight; the pace waits for one to end.
    pub concurrency: usize,
    /// Requests to send; without it, until told to stop.
    pub count: Option<u64>,
    pub timeout: Duration,
    pub route: Route,
    /// Called with the counts so far, this often.
    pub progress: Option<(Duration, Tell)>,
}

impl LoadConfig {
    #[must_use]
    pub fn new(url: Uri) -> Self {
        Self {
            urls: vec![url],
            headers: HeaderMap::new(),
            rps: None,
            concurrency: 16,
            count: None,
            timeout: Duration::from_secs(15),
            route: Route::Direct,
            progress: None,
        }
    }
}

/// Sends until the count is reached or `shutdown`, then waits for the requests in flight: the report accounts for each.
///
/// With a count, nothing is skipped.
pub async fn run(config: LoadConfig, shutdown: CancellationToken) -> LoadReport {
    let mut run = Run::new(config);
    while !run.complete() {
        let (due, skipped) = run.pace.next();
        run.tally().report.skipped += skipped;
        let slot = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            slot = next_slot(due, &run.slots) => slot,
        };
        let Some(slot) = slot else { break };
        run.launch(due, slot);
        run.tell_progress();
    }
    while run.flights.join_next().await.is_some() {}
    run.tally().report(run.started.elapsed())
}

/// One run of the client.
struct Run {
    config: LoadConfig,
    client: HttpClient,
    tally: Arc<Mutex<Tally>>,
    slots: Arc<Semaphore>,
    started: Instant,
    pace: Pace,
    number: u64,
    flights: JoinSet<()>,
    progress_due: Option<Instant>,
}

impl Run {
    fn new(config: LoadConfig) -> Self {
        let started = Instant::now();
        Self {
            client: HttpClient::new(config.route.clone()),
            tally: Arc::default(),
            slots: Arc::new(Semaphore::new(config.concurrency.max(1))),
            started,
            pace: Pace::new(started, config.rps, config.count.is_some()),
            number: 0,
            flights: JoinSet::new(),
            progress_due: config.progress.map(|(every, _)| started + every),
            config,
        }
    }

    fn complete(&self) -> bool {
        self.config.urls.is_empty() || self.config.count.is_some_and(|count| self.number >= count)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    fn launch(&mut self, due: Instant, slot: OwnedSemaphorePermit) {
        let turn = usize::try_from(self.number).unwrap_or(0) % self.config.urls.len();
        let uri = self.config.urls[turn].clone();
        self.number += 1;
        self.tally().report.sent += 1;
        let (client, tally) = (self.client.clone(), self.tally.clone());
        let (headers, timeout) = (self.config.headers.clone(), self.config.timeout);
        self.flights.spawn(async move {
            let answer = client.send(Method::GET, uri, headers, Bytes::new(), timeout).await;
            let mut tally = lock(&tally);
            match answer {
                Ok(answer) => tally.answer(answer.status.as_u16(), answer.body.len(), due.elapsed()),
                Err(error) => tally.error(error.kind()),
            }
            drop(slot);
        });
        // What has landed is let go, so that a long run does not grow.
        while self.flights.try_join_next().is_some() {}
    }

    fn tell_progress(&mut self) {
        let (Some((every, tell)), Some(due)) = (self.config.progress, self.progress_due) else {
            return;
        };
        if Instant::now() >= due {
            self.progress_due = Some(due + every);
            tell(&self.tally().report(self.started.elapsed()));
        }
    }
}

async fn next_slot(due: Instant, slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::sleep_until(due).await;
    slots.clone().acquire_owned().await.ok()
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When each request is due.
struct Pace {
    interval: Option<Duration>,
    next: Instant,
    exact: bool,
}

impl Pace {
    fn new(start: Instant, rps: Option<f64>, exact: bool) -> Self {
        let interval = rps.filter(|rps| rps.is_finite() && *rps > 0.0).map(|rps| Duration::from_secs_f64(1.0 / rps));
        Self { interval, next: start, exact }
    }

    /// The next due time, and how many were left out before it.
    fn next(&mut self) -> (Instant, u64) {
        let now = Instant::now();
        let Some(interval) = self.interval else {
            return (now, 0);
        };
        let behind = now.saturating_duration_since(self.next);
        let mut skipped = 0;
        if behind > BEHIND_MAX && !self.exact {
            skipped = (behind.as_secs_f64() / interval.as_secs_f64()) as u64;
            self.next = now;
        }
        let due = self.next;
        self.next += interval;
        (due, skipped)
    }
}
