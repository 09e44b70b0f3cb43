//! How a request of samples is read and handed over, whichever protocol they come in.

use std::sync::Arc;

use super::{Attempt, Refusal, Times};
use crate::pipeline::{SampleAnswer, SamplePush, SampleRequest};
use crate::store::{Delivery, Store};

impl Attempt {
    /// An empty push: it takes as many samples as the door lets in, of the times that are kept.
    ///
    /// # Errors
    /// When the database does not tell which series it knows.
    pub async fn sample_push(&self, store: &dyn Store, times: Times) -> Result<SamplePush, Refusal> {
        let index = store.series_index().await.map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "the dictionary of series cannot be read");
            Refusal::unavailable("the database does not answer; try again")
        })?;
        let check = Arc::new(move |t_ms: i64| times.check(t_ms.saturating_mul(1_000_000)));
        Ok(SamplePush::up_to(self.door().limits().items, index, check).with_edges(self.door().intake().edge_push()))
    }

    /// Lets the samples in and stores them; counted whatever becomes of them.
    ///
    /// # Errors
    /// When there are too many, or they were not stored.
    pub async fn store_samples(self, push: SamplePush, bytes: usize, delivery: Delivery) -> Result<SampleAnswer, Refusal> {
        let attempt = self.admit(usize::try_from(push.received()).unwrap_or(usize::MAX))?;
        let door = attempt.door().clone();
        let request = SampleRequest { door: door.name(), push, bytes, delivery };
        attempt.store(door.intake().samples(request)).await.map(|(answer, _)| answer)
    }
}
