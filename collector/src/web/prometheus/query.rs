//! `query`, `query_range` and `format_query`.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use axum::extract::State;

use super::answer::Data;
use super::params::Form;
use super::problem::Problem;
use super::{Api, SLOW, TIMEOUT_MAX};
use crate::clock::now_ms;
use crate::query::promql::{self, Answer, Limits, QueryError, Select, Source, Times};
use crate::store::{SampleQuery, SeriesSamples, Store, StoreError};

/// Characters of a slow query that the log tells.
const TOLD_MAX: usize = 500;

struct Stored(Arc<dyn Store>);

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

pub(super) async fn instant(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let times = Times::at(form.time_ms("time", now_ms())?);
    answer(&api, &form, times).await
}

pub(super) async fn range(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let (start_ms, end_ms) = (form.required_time_ms("start")?, form.required_time_ms("end")?);
    let Some(step) = form.duration("step")? else {
        return Err(Problem::parameter("step", "cannot parse \"\" to a valid duration"));
    };
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    answer(&api, &form, Times::range(start_ms, end_ms, step_ms)?).await
}

async fn answer(api: &Api, form: &Form, times: Times) -> Result<Data, Problem> {
    let limit = form.limit()?;
    let timeout = form.duration("timeout")?.map_or(TIMEOUT_MAX, |asked| asked.min(TIMEOUT_MAX));
    let lookback = form.duration("lookback_delta")?;
    let lookback_ms = lookback.and_then(|lookback| i64::try_from(lookback.as_millis()).ok()).unwrap_or(times.lookback_ms);
    let times = Times { lookback_ms, ..times };
    let started = Instant::now();
    let Ok(Ok(_slot)) = tokio::time::timeout(timeout, api.slots.acquire()).await else { return Err(Problem::busy()) };
    let limits = Limits::until(started.checked_add(timeout));
    let source = Stored(Arc::clone(&api.store));
    let asked = promql::query(&source, form.query(), times, &limits);
    // The store knows no deadline.
    let answer: Answer = tokio::time::timeout(timeout, asked).await.map_err(|_| QueryError::Timeout)??;
    if started.elapsed() > SLOW {
        let text: String = form.query().chars().take(TOLD_MAX).collect();
        tracing::warn!(query = ?text, took_ms = started.elapsed().as_millis() as u64, "a query took long");
    }
    Ok(tokio::task::spawn_blocking(move || Data::answer(&answer, limit)).await.map_err(|_| QueryError::Canceled)?)
}

pub(super) async fn format(form: Form) -> Result<Data, Problem> {
    Ok(Data::of(&promql::format(form.query()).await?))
}
