//! `GET /api/targets`: who is scraped and how that goes, in the shape of Prometheus' `/api/v1/targets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::duration;
use super::labels::LabelSet;
use super::status::{DroppedTargets, ScrapeStatuses, TargetStatus};

/// What Prometheus shows for a target that was not scraped yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetsQuery {
    /// `active`, `dropped` or `any`.
    state: Option<String>,
    scrape_pool: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetsReport {
    pub active_targets: Vec<ActiveTarget>,
    pub dropped_targets: Vec<DroppedTarget>,
    pub dropped_target_counts: BTreeMap<Arc<str>, usize>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveTarget {
    pub discovered_labels: Arc<LabelSet>,
    pub labels: Arc<LabelSet>,
    pub scrape_pool: Arc<str>,
    pub scrape_url: String,
    pub global_url: String,
    pub last_error: String,
    pub last_scrape: String,
    /// Seconds.
    pub last_scrape_duration: f64,
    pub health: &'static str,
    pub scrape_interval: String,
    pub scrape_timeout: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedTarget {
    pub discovered_labels: Arc<LabelSet>,
}

#[derive(Serialize)]
struct Envelope {
    status: &'static str,
    data: TargetsReport,
}

pub fn router(statuses: ScrapeStatuses) -> Router {
    Router::new().route("/api/targets", get(answer)).with_state(statuses)
}

async fn answer(State(statuses): State<ScrapeStatuses>, Query(query): Query<TargetsQuery>) -> Json<impl Serialize> {
    Json(Envelope { status: "success", data: report(&statuses, &query) })
}

/// The `data` of the answer.
#[must_use]
pub fn report(statuses: &ScrapeStatuses, query: &TargetsQuery) -> TargetsReport {
    let state = query.state.as_deref().unwrap_or("any").to_lowercase();
    let is_asked = |pool: &str| query.scrape_pool.as_deref().is_none_or(|asked| asked.is_empty() || asked == pool);
    let active = statuses.targets().into_iter().filter(|_| state != "dropped");
    let dropped: Vec<DroppedTargets> = statuses.dropped().into_iter().filter(|dropped| is_asked(&dropped.pool)).collect();
    let mut counts = BTreeMap::new();
    for pool in &dropped {
        *counts.entry(pool.pool.clone()).or_default() += pool.total;
    }
    let shown = dropped.into_iter().filter(|_| state != "active").flat_map(|dropped| dropped.shown);
    TargetsReport {
        active_targets: active.filter(|status| is_asked(&status.target.job.name)).map(active_target).collect(),
        dropped_targets: shown.map(|discovered_labels| DroppedTarget { discovered_labels }).collect(),
        dropped_target_counts: counts,
    }
}

fn active_target(status: TargetStatus) -> ActiveTarget {
    let TargetStatus { target, scrape } = status;
    let health = match &scrape {
        None => "unknown",
        Some(scrape) if scrape.up => "up",
        Some(_) => "down",
    };
    ActiveTarget {
        discovered_labels: target.discovered,
        labels: target.labels,
        scrape_pool: target.job.name.clone(),
        global_url: target.url.clone(),
        scrape_url: target.url,
        last_error: scrape.as_ref().and_then(|scrape| scrape.error.clone()).unwrap_or_default(),
        last_scrape: scrape.as_ref().and_then(|scrape| rfc3339(scrape.last_at_ms)).unwrap_or_else(|| NEVER.to_owned()),
        last_scrape_duration: scrape.as_ref().map_or(0.0, |scrape| scrape.duration_ms / 1000.0),
        health,
        scrape_interval: duration::format(target.interval),
        scrape_timeout: duration::format(target.timeout),
    }
}

fn rfc3339(at_ms: i64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000).ok()?;
    at.format(&Rfc3339).ok()
}
