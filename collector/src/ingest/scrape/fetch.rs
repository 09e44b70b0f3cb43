//! Asks a target for its metrics.

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};

use super::ScrapeTarget;
use super::client::{Answer, FetchError};
use crate::ingest::exposition;

/// The answer of a target, within its time and its size.
pub async fn fetch(target: &ScrapeTarget) -> Result<Answer, FetchError> {
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
    target.job.client.text(&target.url, headers, target.job.limits.body_bytes, target.timeout).await
}
