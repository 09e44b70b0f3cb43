//! `GET /api/targets`: who is scraped and how that goes, in the shape of Prometheus' `/api/v1/targets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::labels::LabelSet;
use super::schedule::ScrapeClock;
use super::status::{DroppedTargets, ScrapeStatuses, TargetStatus};
use super::target::ScrapeTarget;
use crate::duration;
use crate::store::{LeasedTarget, Store, StoreError};
use crate::web::error::Refusal;

/// What Prometheus shows for a target that was not scraped yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetsQuery {
    /// `active`, `dropped` or `any`.
    pub state: Option<String>,
    pub scrape_pool: Option<String>,
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
    #[serde(flatten)]
    pub described: Described,
    pub last_error: String,
    pub last_scrape: String,
    /// Seconds.
    pub last_scrape_duration: f64,
    pub health: &'static str,
    /// Who scrapes it, where several collectors share a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collector: Option<Arc<str>>,
}

/// What does not change from scrape to scrape.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    pub discovered_labels: BTreeMap<Arc<str>, Arc<str>>,
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    pub scrape_pool: Arc<str>,
    pub scrape_url: String,
    pub global_url: String,
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

/// Knows the targets of this collector, and of those that share its database.
#[derive(Clone)]
pub struct TargetsPage {
    /// By which scrapes are dated.
    pub clock: ScrapeClock,
    pub statuses: ScrapeStatuses,
    pub store: Arc<dyn Store>,
    pub collector_id: Arc<str>,
}

pub fn router(page: TargetsPage) -> Router {
    Router::new().route("/api/targets", get(answer)).with_state(page)
}

async fn answer(State(page): State<TargetsPage>, Query(query): Query<TargetsQuery>) -> Result<Json<impl Serialize>, Refusal> {
    Ok(Json(Envelope { status: "success", data: report(&page, &query).await? }))
}

/// The `data` of the answer.
pub async fn report(page: &TargetsPage, query: &TargetsQuery) -> Result<TargetsReport, StoreError> {
    let state = query.state.as_deref().unwrap_or("any").to_lowercase();
    let is_asked = |pool: &str| query.scrape_pool.as_deref().is_none_or(|asked| asked.is_empty() || asked == pool);
    let mut active = if state == "dropped" { Vec::new() } else { active_targets(page).await? };
    active.retain(|target| is_asked(&target.described.scrape_pool));
    let dropped = page.statuses.dropped().into_iter().filter(|dropped| is_asked(&dropped.pool));
    let dropped: Vec<DroppedTargets> = dropped.collect();
    let mut counts = BTreeMap::new();
    for pool in &dropped {
        *counts.entry(pool.pool.clone()).or_default() += pool.total;
    }
    let shown = dropped.into_iter().filter(|_| state != "active").flat_map(|dropped| dropped.shown);
    Ok(TargetsReport {
        active_targets: active,
        dropped_targets: shown.map(|discovered_labels| DroppedTarget { discovered_labels }).collect(),
        dropped_target_counts: counts,
    })
}

/// Those of this collector as it knows them, those of others as the database does.
async fn active_targets(page: &TargetsPage) -> Result<Vec<ActiveTarget>, StoreError> {
    let leased = page.store.leased_targets().await?;
    let others = leased.iter().filter(|leased| leased.collector_id != page.collector_id);
    let mut active: BTreeMap<Arc<str>, ActiveTarget> =
        page.statuses.targets().into_iter().map(|status| (status.target.key.clone(), active_target(status))).collect();
    let now_ms = page.clock.now_ms();
    for target in others {
        // A description that cannot be read is of a newer version; the target is known by its key alone then.
        if let Ok(described) = serde_json::from_str(&target.described) {
            active.insert(target.key.clone(), of_another(target, described, now_ms));
        }
    }
    for target in leased.iter().filter(|leased| leased.collector_id == page.collector_id) {
        if let Some(active) = active.get_mut(&target.key) {
            active.collector = Some(target.collector_id.clone());
        }
    }
    Ok(active.into_values().collect())
}

fn active_target(status: TargetStatus) -> ActiveTarget {
    let TargetStatus { target, scrape, .. } = status;
    let health = match &scrape {
        None => "unknown",
        Some(scrape) if scrape.up => "up",
        Some(_) => "down",
    };
    ActiveTarget {
        described: described_target(&target),
        last_error: scrape.as_ref().and_then(|scrape| scrape.error.clone()).unwrap_or_default(),
        last_scrape: scrape.as_ref().and_then(|scrape| rfc3339(scrape.last_at_ms)).unwrap_or_else(|| NEVER.to_owned()),
        last_scrape_duration: scrape.as_ref().map_or(0.0, |scrape| scrape.duration_ms / 1000.0),
        health,
        collector: None,
    }
}

/// Up when a scrape of it was stored within its last two intervals.
fn of_another(target: &LeasedTarget, described: Described, now_ms: i64) -> ActiveTarget {
    let interval = duration::parse(&described.scrape_interval).unwrap_or_default();
    let fresh_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX / 4).saturating_mul(2);
    let is_up = target.scraped_at_ms.is_some_and(|at_ms| at_ms + fresh_ms >= now_ms);
    let error = format!("collector {} has stored no scrape lately; ask it why", target.collector_id);
    ActiveTarget {
        described,
        last_error: if is_up { String::new() } else { error },
        last_scrape: target.scraped_at_ms.and_then(rfc3339).unwrap_or_else(|| NEVER.to_owned()),
        last_scrape_duration: 0.0,
        health: if is_up { "up" } else { "down" },
        collector: Some(target.collector_id.clone()),
    }
}

/// A target for the database, where the other collectors find it.
pub fn described(target: &ScrapeTarget) -> String {
    serde_json::to_string(&described_target(target)).unwrap_or_default()
}

fn described_target(target: &ScrapeTarget) -> Described {
    let map = |labels: &LabelSet| labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Described {
        discovered_labels: map(&target.discovered),
        labels: map(&target.labels),
        scrape_pool: target.job.name.clone(),
        scrape_url: target.url.clone(),
        global_url: target.url.clone(),
        scrape_interval: duration::format(target.interval),
        scrape_timeout: duration::format(target.timeout),
    }
}

fn rfc3339(at_ms: i64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000).ok()?;
    at.format(&Rfc3339).ok()
}
