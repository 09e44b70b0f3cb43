//! What a node of an expression yields: series with one value per step.

use std::collections::HashMap;

use super::{QueryError, execution};
use crate::store::sample::{Labels, NAME, is_stale, stale};

/// The steps that a node is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub start_ms: i64,
    pub step_ms: i64,
    pub steps: usize,
}

impl Grid {
    pub fn at(&self, step: usize) -> i64 {
        self.start_ms.saturating_add(self.step_ms.saturating_mul(step as i64))
    }
}

/// Marks a step at which a series has no value. Prometheus' mark of a series' end, which is no value either.
pub fn absent() -> f64 {
    stale()
}

pub fn is_absent(value: f64) -> bool {
    is_stale(value)
}

#[derive(Clone, Debug)]
pub struct Series {
    pub labels: Labels,
    /// One for each step of the grid.
    pub values: Vec<f64>,
}

impl Series {
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|value| is_absent(*value))
    }
}

/// What a node yields.
#[derive(Clone, Debug)]
pub enum Value {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<Series>),
}

impl Value {
    pub fn vector(self) -> Result<Vec<Series>, QueryError> {
        match self {
            Self::Vector(series) => Ok(series),
            Self::Scalar(_) | Self::Text(_) => execution("a vector was expected"),
        }
    }

    pub fn scalar(self) -> Result<Vec<f64>, QueryError> {
        match self {
            Self::Scalar(values) => Ok(values),
            Self::Text(_) | Self::Vector(_) => execution("a scalar was expected"),
        }
    }

    pub fn text(self) -> Result<String, QueryError> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Scalar(_) | Self::Vector(_) => execution("a string was expected"),
        }
    }
}

pub fn label<'a>(labels: &'a Labels, name: &str) -> &'a str {
    labels.iter().find(|(known, _)| **known == *name).map_or("", |(_, value)| value)
}

pub fn without_name(labels: &Labels) -> Labels {
    if label(labels, NAME).is_empty() { labels.clone() } else { keep(labels, |name| name != NAME) }
}

pub fn keep(labels: &Labels, wanted: impl Fn(&str) -> bool) -> Labels {
    labels.iter().filter(|(name, _)| wanted(name)).cloned().collect()
}

/// Sets a label, or takes it away when the value is empty.
pub fn with_label(labels: &Labels, name: &str, value: &str) -> Labels {
    let mut all: Vec<_> = labels.iter().filter(|(known, _)| **known != *name).cloned().collect();
    if !value.is_empty() {
        let at = all.partition_point(|(known, _)| **known < *name);
        all.insert(at, (name.into(), value.into()));
    }
    all.into()
}

pub const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

/// Joins series that have come to have the same labels, which is an error where two have a value at the same step.
pub fn merged(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut by_labels: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    for one in series {
        match by_labels.get(&one.labels) {
            None => {
                by_labels.insert(one.labels.clone(), merged.len());
                merged.push(one);
            }
            Some(place) => {
                for (known, value) in merged[*place].values.iter_mut().zip(one.values) {
                    if is_absent(value) {
                        continue;
                    }
                    if !is_absent(*known) {
                        return execution(SAME_LABELS);
                    }
                    *known = value;
                }
            }
        }
    }
    Ok(merged)
}

/// As [`merged`], where Prometheus does not look at the steps.
pub fn distinct(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut seen = std::collections::HashSet::with_capacity(series.len());
    if series.iter().all(|one| seen.insert(one.labels.clone())) { Ok(series) } else { execution(SAME_LABELS) }
}
