//! Aggregations: many series become one for each group, or the best of each group are kept.

use std::collections::HashMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_LIMITK, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
    TokenId, TokenType,
};

use super::math::quantile;
use super::plan::Grouping;
use super::series::{Grid, Series, Value, absent, is_absent, merged, with_label};
use super::{Limits, QueryError, execution};
use crate::store::sample::Labels;

pub(super) fn aggregate(
    op: TokenType,
    grouping: &Grouping,
    param: Option<Value>,
    series: Vec<Series>,
    grid: &Grid,
    limits: &Limits,
) -> Result<Vec<Series>, QueryError> {
    let op = op.id();
    if op == T_COUNT_VALUES {
        let Some(Value::Text(name)) = param else { return execution("count_values lacks the name of a label") };
        return count_values(&name, grouping, &series, grid, limits);
    }
    let param = match param {
        Some(param) => param.scalar()?,
        None => vec![f64::NAN; grid.steps],
    };
    let groups = groups(grouping, &series);
    if matches!(op, T_TOPK | T_BOTTOMK | T_LIMITK) {
        return best(op, &param, groups, series, grid);
    }
    let mut found = Vec::with_capacity(groups.len());
    for (labels, members) in groups {
        let mut values = Vec::with_capacity(grid.steps);
        for step in 0..grid.steps {
            let present = members.iter().filter_map(|place| series.get(*place)?.values.get(step)).copied();
            let present = present.filter(|value| !is_absent(*value));
            values.push(one_group(op, param.get(step).copied().unwrap_or(f64::NAN), present)?);
        }
        found.push(Series { labels, values });
    }
    Ok(found)
}

/// Groups by their labels, in the order in which they first come, with the places of their members.
fn groups(grouping: &Grouping, series: &[Series]) -> Vec<(Labels, Vec<usize>)> {
    let mut by_labels: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<usize>)> = Vec::new();
    for (place, one) in series.iter().enumerate() {
        let labels = grouping.of(&one.labels);
        let group = *by_labels.entry(labels.clone()).or_insert_with(|| {
            groups.push((labels, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, members)) = groups.get_mut(group) {
            members.push(place);
        }
    }
    groups
}

fn one_group(op: TokenId, param: f64, mut values: impl Iterator<Item = f64>) -> Result<f64, QueryError> {
    let Some(first) = values.next() else { return Ok(absent()) };
    let all = std::iter::once(first).chain(values);
    Ok(match op {
        T_SUM => all.sum(),
        T_AVG => average(all),
        T_COUNT => all.count() as f64,
        T_GROUP => 1.0,
        T_MIN => all.fold(first, |least, value| if value < least || least.is_nan() { value } else { least }),
        T_MAX => all.fold(first, |most, value| if value > most || most.is_nan() { value } else { most }),
        T_STDVAR => variance(all),
        T_STDDEV => variance(all).sqrt(),
        T_QUANTILE => quantile(param, all.collect()),
        _ => return execution("the aggregation is not known"),
    })
}

/// A running mean: the sum of large values could leave what a float can hold.
fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut count) = (0.0f64, 0.0);
    for value in values {
        count += 1.0;
        if mean.is_infinite() {
            let is_same_infinity = value.is_infinite() && (mean > 0.0) == (value > 0.0);
            if is_same_infinity || value.is_finite() {
                continue;
            }
        }
        mean += value / count - mean / count;
    }
    mean
}

/// The first value is the mean so far, whatever it is: one value alone, even one that is no number, does not vary.
fn variance(mut values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut squares, mut count) = (values.next().unwrap_or(f64::NAN), 0.0, 1.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

fn count_values(
    name: &str,
    grouping: &Grouping,
    series: &[Series],
    grid: &Grid,
    limits: &Limits,
) -> Result<Vec<Series>, QueryError> {
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || !is_name {
        return execution(format!("invalid label name \"{name}\""));
    }
    let mut order: Vec<Labels> = Vec::new();
    let mut counts: HashMap<Labels, Vec<f64>> = HashMap::new();
    for one in series {
        let group = grouping.of(&one.labels);
        for (step, value) in one.values.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            let labels = with_label(&group, name, &number_text(*value));
            let values = counts.entry(labels.clone()).or_insert_with(|| {
                order.push(labels);
                vec![absent(); grid.steps]
            });
            if let Some(count) = values.get_mut(step) {
                *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            }
            // Each value is a series of its own, with all steps.
            limits.allow(order.len().saturating_mul(grid.steps))?;
        }
    }
    let counted = order.into_iter().filter_map(|labels| Some(Series { values: counts.remove(&labels)?, labels }));
    merged(counted.collect())
}

/// Shortest decimal text, never with an exponent.
pub(super) fn number_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// Keeps the largest, the smallest or any k of each group, step by step; the series keep their labels.
fn best(
    op: TokenId,
    param: &[f64],
    groups: Vec<(Labels, Vec<usize>)>,
    series: Vec<Series>,
    grid: &Grid,
) -> Result<Vec<Series>, QueryError> {
    let mut kept: Vec<Vec<f64>> = series.iter().map(|_| vec![absent(); grid.steps]).collect();
    let mut order: Vec<usize> = Vec::new();
    for step in 0..grid.steps {
        let k = param.get(step).copied().unwrap_or(f64::NAN);
        if k.is_nan() || k >= 9.2e18 || k <= -9.2e18 {
            return execution(format!("Scalar value {} overflows int64", number_text(k)));
        }
        let Ok(k) = usize::try_from(k as i64) else { continue };
        for (_, members) in &groups {
            let value = |place: usize| series.get(place).and_then(|one| one.values.get(step)).copied().unwrap_or_else(absent);
            let mut ranked: Vec<usize> = members.iter().copied().filter(|place| !is_absent(value(*place))).collect();
            if op != T_LIMITK {
                ranked.sort_by(|a, b| {
                    let (a, b) = (value(*a), value(*b));
                    let by_value = if op == T_TOPK { b.total_cmp(&a) } else { a.total_cmp(&b) };
                    a.is_nan().cmp(&b.is_nan()).then(if a == b { std::cmp::Ordering::Equal } else { by_value })
                });
            }
            ranked.truncate(k);
            for place in &ranked {
                if let Some(values) = kept.get_mut(*place) {
                    values[step] = value(*place);
                }
            }
            // The order tells of one moment only.
            if grid.steps == 1 {
                order.extend(ranked);
            }
        }
    }
    if grid.steps != 1 {
        order = (0..series.len()).collect();
    }
    let chosen = order.into_iter().filter_map(|place| {
        let values = std::mem::take(kept.get_mut(place)?);
        let one = Series { labels: series.get(place)?.labels.clone(), values };
        (!one.is_empty()).then_some(one)
    });
    Ok(chosen.collect())
}
