//! `series`, `labels` and `label/…/values`: which series there are, without their samples.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};

use super::Api;
use super::answer::Data;
use super::params::Form;
use super::problem::Problem;
use crate::store::sample::matcher::Matcher;

pub(super) async fn series(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let (selectors, from_ms, limit) = (form.selectors()?, form.time_ms("start", 0)?, form.limit()?);
    if selectors.is_empty() {
        return Err(Problem::bad_data("no match[] parameter provided"));
    }
    let mut found = BTreeSet::new();
    for selector in &selectors {
        found.extend(api.store.metric_series(selector, from_ms).await?);
    }
    let objects: Vec<BTreeMap<&str, &str>> = found
        .iter()
        .take(limit.saturating_add(1))
        .map(|labels| labels.iter().map(|(name, value)| (&**name, &**value)).collect())
        .collect();
    Ok(Data::limited(&objects, limit))
}

/// Without a selector all series are asked.
fn chosen(form: &Form) -> Result<Vec<Vec<Matcher>>, Problem> {
    let selectors = form.selectors()?;
    Ok(if selectors.is_empty() { vec![Vec::new()] } else { selectors })
}

pub(super) async fn names(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let (from_ms, limit) = (form.time_ms("start", 0)?, form.limit()?);
    let mut found = BTreeSet::new();
    for selector in chosen(&form)? {
        found.extend(api.store.label_names(&selector, from_ms).await?);
    }
    Ok(Data::limited(&found.iter().collect::<Vec<_>>(), limit))
}

pub(super) async fn values(State(api): State<Api>, Path(name): Path<String>, form: Form) -> Result<Data, Problem> {
    let (from_ms, limit) = (form.time_ms("start", 0)?, form.limit()?);
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_name {
        return Err(Problem::bad_data(format!("invalid label name: {name:?}")));
    }
    let mut found = BTreeSet::new();
    for selector in chosen(&form)? {
        found.extend(api.store.label_values(&name, &selector, from_ms).await?);
    }
    Ok(Data::limited(&found.iter().collect::<Vec<_>>(), limit))
}
