//! Bounds how many answers with whole traces are made at the same time: the spans of each are in memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers at the same time.
const ANSWERS_MAX: usize = 8;
/// How long a question waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Cheap to clone; clones share the turns.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ANSWERS_MAX)))
    }
}

impl Turns {
    /// Held until the answer is made; `None` when too many others are being answered.
    pub async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let turn = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.0).acquire_owned()).await;
        turn.ok().and_then(Result::ok)
    }
}
