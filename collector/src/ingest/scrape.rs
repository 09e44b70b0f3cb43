//! Scrapes proxies: who, when, by which rules, and what becomes of the answers.

pub mod client;
pub mod config;
mod discovery;
mod fetch;
mod files;
mod http_sd;
mod jobs;
pub mod kubernetes;
mod labels;
mod leases;
mod metadata;
mod naming;
mod page;
pub mod relabel;
pub mod report;
mod reports;
mod schedule;
mod scheduler;
mod scraped;
mod status;
mod target;
mod task;
mod wanted;

use std::time::Duration;

pub use discovery::{Discovery, TargetGroup, read_groups};
pub use files::{FileTargetsError, matching_files, url_labels, watch_file};
pub use http_sd::HttpDiscovery;
pub use jobs::watch_job;
pub use labels::{LabelSet, is_label_name, sanitized};
pub use leases::{Fence, Leases, Owned, Wish};
pub use schedule::ScrapeClock;
pub use scheduler::{Scheduler, Sources, TARGETS_MAX};
pub use scraped::ScrapedTargets;
pub use status::{ScrapeStatuses, TargetStatus};
pub use target::{SCRAPE_BYTES_MAX, ScrapeJob, ScrapeLimits, ScrapeTarget, TargetDefaults, TargetError};
pub use task::EDGES_MAX;

/// A scrape has to end before the next one begins, but a busy proxy needs a second.
#[must_use]
pub fn default_timeout(interval: Duration) -> Duration {
    interval.clamp(Duration::from_secs(1), Duration::from_secs(10))
}
