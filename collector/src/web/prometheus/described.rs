//! `metadata`, `targets/metadata` and `query_exemplars`: what targets say of their metrics, and of single events.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Api;
use super::answer::{Data, number};
use super::params::Form;
use super::problem::Problem;
use crate::query::promql;
use crate::store::sample::matcher::parse_selector;
use crate::store::{ExemplarQuery, Metadata};

#[derive(Serialize)]
struct Told<'a> {
    r#type: &'a str,
    help: &'a str,
    unit: &'a str,
}

#[derive(Serialize)]
struct OfTarget {
    target: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    r#type: String,
    help: String,
    unit: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfSeries {
    series_labels: BTreeMap<String, String>,
    exemplars: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    labels: Box<RawValue>,
    value: String,
    timestamp: Box<RawValue>,
}

fn told(one: &Metadata) -> Told<'_> {
    Told { r#type: &one.kind, help: &one.help, unit: &one.unit }
}

pub(super) async fn metadata(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let (limit, per_metric) = (form.count("limit")?, form.count("limit_per_metric")?);
    let all = api.store.metadata(form.get("metric")).await?;
    let mut by_metric: BTreeMap<&str, Vec<Told<'_>>> = BTreeMap::new();
    for one in &all {
        if by_metric.len() >= limit && !by_metric.contains_key(&*one.metric) {
            break;
        }
        let known = by_metric.entry(&one.metric).or_default();
        if known.len() < per_metric {
            known.push(told(one));
        }
    }
    Ok(Data::of(&by_metric))
}

/// Of the targets that this collector scrapes.
pub(super) async fn of_targets(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let limit = form.count("limit")?;
    let matchers = form.get("match_target").map(parse_selector).transpose()?.unwrap_or_default();
    let metric = form.get("metric");
    let mut found = Vec::new();
    for status in api.parts.targets.statuses.targets() {
        let labels: BTreeMap<String, String> =
            status.target.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let value = |name: &str| labels.get(name).map_or("", String::as_str);
        if !matchers.iter().all(|matcher| matcher.matches(value(&matcher.name))) {
            continue;
        }
        let wanted = status.metadata.iter().filter(|one| metric.is_none_or(|metric| *one.metric == *metric));
        found.extend(wanted.map(|one| OfTarget {
            target: labels.clone(),
            metric: metric.is_none().then(|| one.metric.to_string()),
            r#type: one.kind.to_string(),
            help: one.help.to_string(),
            unit: one.unit.to_string(),
        }));
    }
    found.truncate(limit);
    Ok(Data::of(&found))
}

pub(super) async fn exemplars(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let (from_ms, to_ms) = (form.time_ms("start", i64::MIN)?, form.time_ms("end", i64::MAX)?);
    if to_ms < from_ms {
        return Err(Problem::bad_data("end timestamp must not be before start timestamp"));
    }
    let selectors = promql::selectors(form.query()).await?;
    let found = api.store.exemplars(&ExemplarQuery { selectors, from_ms, to_ms }).await?;
    let shown = |(t_ms, value, labels): (i64, f64, String)| {
        let timestamp = if t_ms % 1000 == 0 { (t_ms / 1000).to_string() } else { (t_ms as f64 / 1000.0).to_string() };
        // What was written as JSON is JSON.
        let raw = |text: String| RawValue::from_string(text).ok();
        Some(Shown { labels: raw(labels)?, value: number(value), timestamp: raw(timestamp)? })
    };
    let series = found.into_iter().map(|series| OfSeries {
        series_labels: series.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        exemplars: series.exemplars.into_iter().filter_map(shown).collect(),
    });
    Ok(Data::of(&series.collect::<Vec<_>>()))
}
