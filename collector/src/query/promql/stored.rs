//! The store as a source of samples.

use std::sync::Arc;

use async_trait::async_trait;

use super::{QueryError, Select, Source};
use crate::store::{SampleQuery, SeriesSamples, Store, StoreError};

pub struct Stored(pub Arc<dyn Store>);

#[async_trait]
impl Source for Stored {
    async fn select(&self, select: &Select, samples_max: usize) -> Result<Vec<SeriesSamples>, QueryError> {
        let query = SampleQuery { samples_max, ..SampleQuery::new(select.matchers.clone(), select.from_ms, select.to_ms) };
        match self.0.select(&query).await {
            Ok(series) => Ok(series),
            Err(StoreError::TooManySamples(limit)) => Err(QueryError::TooManySamples(limit)),
            Err(error) => Err(error.into()),
        }
    }
}
