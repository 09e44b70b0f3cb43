//! Whom the collectors of this database scrape, so that what somebody else scraped of them is not counted again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::report::Described;
use super::{ScrapeStatuses, ScrapeTarget};
use crate::store::Store;

/// How often the database is asked whom the other collectors scrape.
const REFRESH: Duration = Duration::from_secs(2);

/// Cheap to clone.
#[derive(Clone)]
pub struct ScrapedTargets {
    statuses: ScrapeStatuses,
    others: Arc<RwLock<HashSet<String>>>,
}

impl ScrapedTargets {
    #[must_use]
    pub fn new(statuses: ScrapeStatuses) -> Self {
        Self { statuses, others: Arc::default() }
    }

    /// By `host:port`, or by `namespace/pod`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.statuses.any(|target| names(target).any(|known| known == name)) || self.others.read().contains(name)
    }

    /// Follows what the other collectors do.
    pub async fn run(self, store: Arc<dyn Store>, me: Arc<str>, stop: CancellationToken) {
        loop {
            match store.leased_targets().await {
                Ok(leased) => {
                    let others = leased.iter().filter(|target| target.collector_id != me);
                    let described = others.filter_map(|target| serde_json::from_str::<Described>(&target.described).ok());
                    *self.others.write() = described.flat_map(|described| described_names(&described)).collect();
                }
                // What was known last is the best guess.
                Err(error) => tracing::debug!(%error, "the targets of the other collectors cannot be read"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(REFRESH)).await.is_none() {
                return;
            }
        }
    }
}

/// Under what a target may be known to somebody else.
pub(super) fn names(target: &ScrapeTarget) -> impl Iterator<Item = String> {
    let label = |name: &str| target.labels.get(name).to_owned();
    let known = [label("instance"), host_port(&target.url), pod(&label("namespace"), &label("pod"))];
    known.into_iter().chain(target.aliases.iter().cloned()).filter(|name| !name.is_empty())
}

fn described_names(described: &Described) -> Vec<String> {
    let label = |name: &str| described.labels.get(name).map_or("", |value| value);
    let known = [label("instance").to_owned(), host_port(&described.scrape_url), pod(label("namespace"), label("pod"))];
    known.into_iter().filter(|name| !name.is_empty()).collect()
}

fn pod(namespace: &str, pod: &str) -> String {
    if pod.is_empty() { String::new() } else { format!("{namespace}/{pod}") }
}

fn host_port(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default().to_owned()
}
