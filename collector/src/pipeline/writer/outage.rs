//! The time in which the database is away, full or read-only: everything is refused at once, and now and then it is asked.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::Waiter;
use crate::store::StoreError;

/// Between two questions; doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// An outage is told of once in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Outage {
    error: Arc<StoreError>,
    since: Instant,
    next_try: Instant,
    pause: Duration,
    refused: u64,
}

/// What is remembered of outages that are over: a disk that is nearly full takes a little now and then.
#[derive(Default)]
pub(super) struct Past {
    told_at: Option<Instant>,
    ended_at: Option<Instant>,
}

impl Past {
    /// Whether something may be said about outages; it then was.
    fn may_tell(&mut self) -> bool {
        let may = self.told_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL);
        if may {
            self.told_at = Some(Instant::now());
        }
        may
    }

    /// Whether the last outage is over for good, as far as can be told.
    pub fn is_quiet(&self) -> bool {
        self.ended_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL)
    }

    fn ended(&mut self) {
        self.ended_at = Some(Instant::now());
    }
}

impl Outage {
    pub fn begin(error: Arc<StoreError>, past: &mut Past) -> Self {
        let now = Instant::now();
        if past.may_tell() {
            let error = &*error as &dyn Error;
            warn!(error, "the database takes no writes; everything is refused as retryable until it does");
        }
        Self { error, since: now, next_try: now + PAUSE_MIN, pause: PAUSE_MIN, refused: 0 }
    }

    /// Never while there is no outage.
    pub async fn next_try(outage: Option<&Self>) {
        match outage {
            Some(outage) => tokio::time::sleep_until(outage.next_try).await,
            None => std::future::pending().await,
        }
    }

    pub fn refuse(&mut self, waiters: Vec<Waiter>) {
        self.refused += waiters.len() as u64;
        waiters.into_iter().for_each(|waiter| drop(waiter.send(Err(Arc::clone(&self.error)))));
    }

    pub fn go_on(&mut self, error: StoreError, past: &mut Past) {
        self.error = Arc::new(error);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.next_try = Instant::now() + self.pause;
        if past.may_tell() {
            let since_s = self.since.elapsed().as_secs();
            let (error, refused) = (&*self.error as &dyn Error, self.refused);
            warn!(error, since_s, refused, "the database still takes no writes");
        }
    }

    pub fn end(&self, past: &mut Past) {
        let was_quiet = past.is_quiet();
        past.ended();
        if !was_quiet {
            return;
        }
        let (after_ms, refused) = (self.since.elapsed().as_millis(), self.refused);
        info!(after_ms, refused, "the database takes writes again");
    }
}
