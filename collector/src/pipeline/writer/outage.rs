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
    told_at: Instant,
    refused: u64,
}

impl Outage {
    pub fn begin(error: Arc<StoreError>) -> Self {
        let now = Instant::now();
        warn!(error = &*error as &dyn Error, "the database takes no writes; everything is refused as retryable until it does");
        Self { error, since: now, next_try: now + PAUSE_MIN, pause: PAUSE_MIN, told_at: now, refused: 0 }
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

    pub fn go_on(&mut self, error: StoreError) {
        self.error = Arc::new(error);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.next_try = Instant::now() + self.pause;
        if self.told_at.elapsed() >= LOG_INTERVAL {
            self.told_at = Instant::now();
            let since_s = self.since.elapsed().as_secs();
            let (error, refused) = (&*self.error as &dyn Error, self.refused);
            warn!(error, since_s, refused, "the database still takes no writes");
        }
    }

    pub fn end(&self) {
        let (after_ms, refused) = (self.since.elapsed().as_millis(), self.refused);
        info!(after_ms, refused, "the database takes writes again");
    }
}
