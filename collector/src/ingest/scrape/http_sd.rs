//! Targets from an HTTP server, in Prometheus' format: asked again and again, what was known last stays while it fails.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::client::{FetchError, HttpClient};
use super::discovery::{TargetGroup, read_groups};

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// `http_sd_configs`
#[derive(Clone, Debug)]
pub struct HttpDiscovery {
    pub url: String,
    pub refresh: Duration,
    pub client: HttpClient,
}

#[derive(Debug, thiserror::Error)]
enum HttpDiscoveryError {
    #[error("failed to ask for targets")]
    Fetch(#[from] FetchError),
    #[error("the targets are `{0}` and not application/json")]
    ContentType(String),
    #[error("the answer is no list of targets")]
    Format(#[from] serde_json::Error),
}

/// Asks until `stop`.
pub fn watch_server(discovery: HttpDiscovery, stop: CancellationToken) -> watch::Receiver<Arc<Vec<TargetGroup>>> {
    let (sender, receiver) = watch::channel(Arc::default());
    tokio::spawn(async move {
        loop {
            match ask(&discovery).await {
                Ok(groups) => {
                    let changed = sender.send_if_modified(|known: &mut Arc<Vec<TargetGroup>>| {
                        let is_new = **known != groups;
                        *known = Arc::new(groups);
                        is_new
                    });
                    if changed {
                        info!(url = %discovery.url, groups = sender.borrow().len(), "targets changed");
                    }
                }
                Err(error) => {
                    warn!(url = %discovery.url, error = &error as &dyn std::error::Error, "keeping the targets known so far");
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(discovery.refresh)).await.is_none() {
                return;
            }
        }
    });
    receiver
}

async fn ask(discovery: &HttpDiscovery) -> Result<Vec<TargetGroup>, HttpDiscoveryError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Ok(seconds) = HeaderValue::try_from(discovery.refresh.as_secs_f64().to_string()) {
        headers.insert(HeaderName::from_static("x-prometheus-refresh-interval-seconds"), seconds);
    }
    let answer = discovery.client.text(&discovery.url, headers, ANSWER_BYTES_MAX, ANSWER_TIMEOUT).await?;
    if !is_json(&answer.content_type) {
        return Err(HttpDiscoveryError::ContentType(answer.content_type));
    }
    let mut groups = read_groups(&answer.text)?;
    for group in &mut groups {
        group.labels.set("__meta_url", discovery.url.as_str());
    }
    Ok(groups)
}

/// `application/json`, with UTF-8 as its only possible charset.
fn is_json(content_type: &str) -> bool {
    let lower = content_type.to_lowercase();
    let (kind, parameter) = lower.split_once(';').unwrap_or((&lower, ""));
    kind == "application/json" && matches!(parameter.trim(), "" | "charset=utf-8" | "charset=\"utf-8\"")
}
