//! `query`, `query_range`, `format_query` and `parse_query`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;

use super::answer::Data;
use super::params::Form;
use super::problem::Problem;
use super::stats::{Counted, stats};
use super::{Api, SLOW, TIMEOUT_MAX};
use crate::clock::now_ms;
use crate::query::promql::{self, Answer, Limits, QueryError, Stored, Times};

/// Characters of a slow query that the log tells.
const TOLD_MAX: usize = 500;

/// Tells of a query that took long, also when it failed or its client hung up.
struct SlowQuery<'a> {
    text: &'a str,
    started: Instant,
    outcome: &'static str,
}

impl Drop for SlowQuery<'_> {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        if took > SLOW {
            let query: String = self.text.chars().take(TOLD_MAX).collect();
            tracing::warn!(?query, outcome = self.outcome, took_ms = took.as_millis() as u64, "a query took long");
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
    let mut told = SlowQuery { text: form.query(), started, outcome: "left by its client" };
    let Ok(Ok(_slot)) = tokio::time::timeout(timeout, api.slots.acquire()).await else { return Err(Problem::busy()) };
    let limits = Limits::until(started.checked_add(timeout));
    let waited = started.elapsed();
    let stored = Stored(Arc::clone(&api.store));
    let source = Counted::new(&stored);
    let asked = promql::query(&source, form.query(), times, &limits);
    // The store knows no deadline.
    let asked = tokio::time::timeout(timeout, asked).await.unwrap_or(Err(QueryError::Timeout));
    told.outcome = if asked.is_ok() { "answered" } else { "failed" };
    let answer: Answer = asked?;
    let stats = form.get("stats").map(|_| stats(source.read(), waited, started.elapsed()));
    Ok(tokio::task::spawn_blocking(move || Data::answer(&answer, limit, stats.as_ref()))
        .await
        .map_err(|_| QueryError::Canceled)?)
}

pub(super) async fn format(form: Form) -> Result<Data, Problem> {
    Ok(Data::of(&promql::format(form.query()).await?))
}

pub(super) async fn parse(form: Form) -> Result<Data, Problem> {
    Ok(Data::of(&promql::tree(form.query()).await?))
}
