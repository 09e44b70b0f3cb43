//! Asks a target for its metrics.

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::ScrapeTarget;
use super::client::{Answer, FetchError, read};
use crate::ingest::exposition;

/// The answer of a target, within its time and its size. It is read once one of the slots for bodies is free; waiting for
/// one does not count as the target's time.
pub async fn fetch<'s>(
    target: &ScrapeTarget,
    bodies: &'s Semaphore,
) -> Result<(Answer, Option<SemaphorePermit<'s>>), FetchError> {
    if let Some(reason) = &target.refused {
        return Err(FetchError::Refused(reason.clone()));
    }
    let timeout_s = target.timeout.as_secs_f64().to_string();
    let mut headers = HeaderMap::new();
    // No protobuf: a proxy that is offered it answers with it.
    headers.insert(ACCEPT, HeaderValue::from_static(exposition::ACCEPT));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    if let Ok(value) = HeaderValue::try_from(timeout_s) {
        headers.insert(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), value);
    }
    let late = |_| FetchError::Timeout(target.timeout);
    let until = Instant::now() + target.timeout;
    let response = timeout_at(until, target.job.client.open(&target.url, headers)).await.map_err(late)??;
    let answered = Instant::now();
    // The semaphore is never closed.
    let body = bodies.acquire().await.ok();
    let until = until + answered.elapsed();
    let answer = timeout_at(until, read(response, target.job.limits.body_bytes)).await.map_err(late)??;
    Ok((answer, body))
}
