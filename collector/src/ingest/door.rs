//! What all doors share: limits, decompression, who may come in, and counts that add up.

mod body;
mod budget;
mod judged;
mod limits;
mod metrics;
mod rate;
mod refusal;
mod samples;
mod security;
mod settings;
mod times;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pipeline::{Intake, WriteError};
use crate::store::Counts;

pub use self::body::{BODY_TIME_MAX, Body, Encoding, decode_body};
pub use self::budget::{Budget, Held};
pub use self::judged::{ENTRIES_MAX, ITEM_BYTES_MAX, Judged, NAME_BYTES_MAX, VALUE_BYTES_MAX, cut};
pub use self::limits::DoorLimits;
pub use self::metrics::DoorMetrics;
pub use self::rate::Rate;
pub use self::refusal::{Kind, Reason, Refusal, RpcStatus};
pub use self::security::{BearerTokens, DoorSecurity, Guard, SecurityError, SecuritySettings, TOKEN_CHARS_MIN, require_token};
pub use self::settings::DoorSettings;
pub use self::times::Times;
pub use self::tls::{Tls, TlsError, TlsFiles};

/// Longest wait for the writer. The client is told to try again; what was handed over may still be stored, and the second
/// delivery of it is recognised.
const WRITE_TIME_MAX: Duration = Duration::from_secs(20);

/// One way in. Cheap to clone; all clones share limits and counts.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    limits: DoorLimits,
    requests: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
    budget: Budget,
    rate: Rate,
    intake: Intake,
    metrics: DoorMetrics,
}

/// A request that has been let in. Dropped without [`Attempt::store`], it counts as one item that broke off: so counts
/// stay true when a client goes away in the middle.
pub struct Attempt {
    signal: &'static str,
    is_settled: bool,
    hold: Arc<Hold>,
}

/// What a request takes up in its door, given back when neither it nor a computation for it is left.
struct Hold {
    door: Door,
    /// Bytes in memory.
    held: Held,
    _place: OwnedSemaphorePermit,
}

impl Door {
    #[must_use]
    pub fn new(name: &'static str, limits: DoorLimits, intake: Intake, metrics: DoorMetrics) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let inner = Inner {
            name,
            requests: Arc::new(Semaphore::new(limits.in_flight)),
            decoding: Arc::new(Semaphore::new(cores)),
            budget: Budget::new(limits.bytes_in_flight),
            rate: Rate::new(limits.rate),
            limits,
            intake,
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    #[must_use]
    pub fn limits(&self) -> &DoorLimits {
        &self.inner.limits
    }

    #[must_use]
    pub fn intake(&self) -> &Intake {
        &self.inner.intake
    }

    /// Requests that could be let in now.
    #[must_use]
    pub fn places(&self) -> usize {
        self.inner.requests.available_permits()
    }

    /// Lets a request in, or counts it as one item that was refused.
    ///
    /// # Errors
    /// When too many requests are in the door already.
    pub fn attempt(&self, signal: &'static str) -> Result<Attempt, Refusal> {
        let Ok(place) = Arc::clone(&self.inner.requests).try_acquire_owned() else {
            let refusal = Refusal::busy("too many requests are being read; try again");
            self.count_refusal(signal, &refusal);
            return Err(refusal);
        };
        self.inner.metrics.entered(self.inner.name);
        let hold = Hold { door: self.clone(), held: self.inner.budget.hold(), _place: place };
        Ok(Attempt { signal, is_settled: false, hold: Arc::new(hold) })
    }

    /// Counts texts that were too long.
    pub fn cut(&self, texts: u64) {
        self.inner.metrics.cut(self.inner.name, texts);
    }

    /// Counts a request whose items are not known as one.
    pub fn count_refusal(&self, signal: &'static str, refusal: &Refusal) {
        let mut counts = Counts::default();
        counts.add(self.inner.name, signal, "received", 1);
        counts.refuse(self.inner.name, signal, refusal.reason, 1);
        self.inner.intake.note(&counts);
    }
}

/// Computes on the pool of blocking threads, for what would hold up everybody else on this one. What is held is held
/// until the end, also when the client hangs up before it: nothing stops a computation.
async fn elsewhere<T: Send + 'static>(hold: &Arc<Hold>, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let hold = Arc::clone(hold);
    let working = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(hold);
        result
    });
    working.await.map_err(|error| {
        tracing::error!(%error, "a computation ended early");
        Refusal::internal("the request could not be read; the log knows why")
    })
}

impl Attempt {
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.hold.door
    }

    /// Computes for this request on the pool of blocking threads, for what would hold up everybody else on this one.
    ///
    /// # Errors
    /// When the computation panicked.
    pub async fn elsewhere<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        elsewhere(&self.hold, work).await
    }

    #[must_use]
    pub fn signal(&self) -> &'static str {
        self.signal
    }

    /// Reads and decompresses a body within the door's limits.
    ///
    /// # Errors
    /// When the body is too large, slow, broken, or not what it says.
    pub async fn read(&mut self, encoding: Encoding, body: axum::body::Body) -> Result<Body, Refusal> {
        let bytes = self.receive(body).await?;
        let sent = bytes.len();
        Ok(Body { bytes: self.unpack(encoding, bytes).await?, sent })
    }

    /// Reads a body as it is sent.
    ///
    /// # Errors
    /// When the body is too large, slow or broken.
    pub async fn receive(&mut self, body: axum::body::Body) -> Result<Bytes, Refusal> {
        body::receive(body, self.door().inner.limits.body_bytes, &self.hold.held).await
    }

    /// Decompresses what was received.
    ///
    /// # Errors
    /// When too much comes out, or the bytes are not what they are said to be.
    pub async fn unpack(&mut self, encoding: Encoding, bytes: Bytes) -> Result<Bytes, Refusal> {
        let inner = &self.door().inner;
        body::unpack(encoding, bytes, inner.limits.decoded_bytes, &self.hold, &inner.decoding).await
    }

    /// Lets so many items in; those that may not are counted as refused.
    ///
    /// # Errors
    /// When one request has too many, or the door had too many in a short time.
    pub fn admit(self, items: usize) -> Result<Self, Refusal> {
        let inner = &self.door().inner;
        let admitted = if items > inner.limits.items {
            Err(Refusal::too_many_items(inner.limits.items))
        } else {
            inner.rate.take(items).map_err(Refusal::rate_limited)
        };
        match admitted {
            Ok(()) => Ok(self),
            Err(refusal) => Err(self.refuse_items(refusal, items)),
        }
    }

    /// Counts the request as one item that was refused.
    #[must_use]
    pub fn refuse(mut self, refusal: Refusal) -> Refusal {
        self.settle();
        self.door().count_refusal(self.signal, &refusal);
        refusal
    }

    /// Counts all items of the request as refused.
    #[must_use]
    pub fn refuse_items(mut self, refusal: Refusal, items: usize) -> Refusal {
        self.settle();
        let mut counts = Counts::default();
        let door = &self.door().inner;
        counts.add(door.name, self.signal, "received", items as u64);
        counts.refuse(door.name, self.signal, refusal.reason, items as u64);
        door.intake.note(&counts);
        refusal
    }

    /// Waits for the writer, within bounds. From here on the intake counts; the place in the door is kept until the end.
    ///
    /// # Errors
    /// When it was not stored, or not in time.
    pub async fn store<T>(mut self, writing: impl Future<Output = Result<T, WriteError>>) -> Result<T, Refusal> {
        self.settle();
        match tokio::time::timeout(WRITE_TIME_MAX, writing).await {
            Ok(written) => written.map_err(Refusal::from),
            Err(_) => Err(Refusal::unavailable("the store did not answer in time; try again")),
        }
    }

    fn settle(&mut self) {
        self.is_settled = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_settled {
            self.door().count_refusal(self.signal, &Refusal::broken_off("the client went away"));
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.door.inner.metrics.left(self.door.inner.name);
    }
}

#[cfg(test)]
mod tests;
