//! Calls: finds what a function's name means and gives it its arguments in the form it wants.

use super::eval::Evaluation;
use super::over_time::{self, OverTime};
use super::plan::{Node, WindowOf};
use super::select::{Take, instant, windows};
use super::series::{Grid, Series, Value, absent, distinct, is_absent, keep, merged, without_name};
use super::{QueryError, execution, histogram, labels, math, times};
use crate::store::sample::matcher::{MatchOp, Matcher};
use crate::store::sample::{Labels, NAME};

pub(super) fn call(evaluation: &Evaluation<'_>, name: &str, args: &[Node], grid: &Grid) -> Result<Value, QueryError> {
    if let Some(function) = OverTime::of(name) {
        return over_time(evaluation, function, args, grid);
    }
    let call = Call { evaluation, args, grid };
    Ok(match name {
        "time" => Value::Scalar((0..grid.steps).map(|step| grid.at(step) as f64 / 1000.0).collect()),
        "pi" => Value::Scalar(vec![std::f64::consts::PI; grid.steps]),
        "vector" => Value::Vector(vec![Series { labels: Labels::from([]), values: call.scalar(0)? }]),
        "scalar" => Value::Scalar(only_one(&call.vector(0)?, grid)),
        "timestamp" => Value::Vector(call.timestamps()?),
        "absent" => Value::Vector(vec![none_of(&call.vector(0)?, asked_for(evaluation, args.first()), grid)]),
        "absent_over_time" => Value::Vector(vec![call.absent_over_time()?]),
        "sort" => Value::Vector(math::sorted(call.vector(0)?, math::Direction::Ascending)),
        "sort_desc" => Value::Vector(math::sorted(call.vector(0)?, math::Direction::Descending)),
        "label_replace" => {
            let texts = [call.text(1)?, call.text(2)?, call.text(3)?, call.text(4)?];
            Value::Vector(merged(labels::replace(call.vector(0)?, &texts, evaluation.limits)?)?)
        }
        "label_join" => {
            let texts = (1..args.len()).map(|place| call.text(place)).collect::<Result<Vec<_>, _>>()?;
            Value::Vector(merged(labels::join(call.vector(0)?, &texts, evaluation.limits)?)?)
        }
        "histogram_quantile" => Value::Vector(merged(histogram::quantile(&call.scalar(0)?, &call.vector(1)?, grid))?),
        "clamp" | "clamp_min" | "clamp_max" | "round" => call.bounded(name)?,
        _ => {
            if let Some(part) = times::part(name) {
                let of = if args.is_empty() { call.now() } else { call.vector(0)? };
                return call.mapped(of, part);
            }
            match math::function(name) {
                Some(function) => call.mapped(call.vector(0)?, function)?,
                None => return execution(format!("the function `{name}` is not known")),
            }
        }
    })
}

struct Call<'a, 'e> {
    evaluation: &'a Evaluation<'e>,
    args: &'a [Node],
    grid: &'a Grid,
}

impl Call<'_, '_> {
    fn value(&self, place: usize) -> Result<Value, QueryError> {
        match self.args.get(place) {
            Some(node) => self.evaluation.value(node, self.grid),
            None => execution("a function lacks an argument"),
        }
    }

    fn vector(&self, place: usize) -> Result<Vec<Series>, QueryError> {
        self.value(place)?.vector()
    }

    fn scalar(&self, place: usize) -> Result<Vec<f64>, QueryError> {
        self.value(place)?.scalar()
    }

    fn text(&self, place: usize) -> Result<String, QueryError> {
        self.value(place)?.text()
    }

    /// What functions of time are asked about when nothing is named.
    fn now(&self) -> Vec<Series> {
        let values = (0..self.grid.steps).map(|step| self.grid.at(step) as f64 / 1000.0).collect();
        vec![Series { labels: Labels::from([]), values }]
    }

    fn mapped(&self, series: Vec<Series>, function: fn(f64) -> f64) -> Result<Value, QueryError> {
        let map = |value: f64| if is_absent(value) { value } else { function(value) };
        let mapped = series
            .into_iter()
            .map(|one| Series { labels: without_name(&one.labels), values: one.values.into_iter().map(map).collect() });
        Ok(Value::Vector(merged(mapped.collect())?))
    }

    fn bounded(&self, name: &str) -> Result<Value, QueryError> {
        let series = self.vector(0)?;
        let first = if self.args.len() > 1 { self.scalar(1)? } else { vec![1.0; self.grid.steps] };
        let second = if self.args.len() > 2 { self.scalar(2)? } else { first.clone() };
        let bound = |value: f64, step: usize| {
            let (a, b) = (first.get(step).copied().unwrap_or(f64::NAN), second.get(step).copied().unwrap_or(f64::NAN));
            match name {
                "clamp" if b < a => absent(),
                "clamp" => math::max(a, math::min(b, value)),
                "clamp_min" => math::max(a, value),
                "clamp_max" => math::min(a, value),
                _ => math::round(value, a),
            }
        };
        let mapped = series.into_iter().map(|one| {
            let values = one.values.into_iter().enumerate();
            let values = values.map(|(step, value)| if is_absent(value) { value } else { bound(value, step) }).collect();
            Series { labels: without_name(&one.labels), values }
        });
        Ok(Value::Vector(merged(mapped.collect())?))
    }

    /// When the samples were taken; of anything computed, the time of the step.
    fn timestamps(&self) -> Result<Vec<Series>, QueryError> {
        let series = match self.args.first() {
            Some(Node::Instant { select, shift, lookback_ms }) => {
                instant(self.evaluation.fetched(*select), self.grid, *shift, *lookback_ms, Take::Time)
            }
            _ => {
                let mut series = self.vector(0)?;
                for (step, value) in series.iter_mut().flat_map(|one| one.values.iter_mut().enumerate()) {
                    if !is_absent(*value) {
                        *value = self.grid.at(step) as f64 / 1000.0;
                    }
                }
                series
            }
        };
        merged(series.into_iter().map(|one| Series { labels: without_name(&one.labels), ..one }).collect())
    }

    fn absent_over_time(&self) -> Result<Series, QueryError> {
        let Some(node) = self.args.first() else { return execution("absent_over_time lacks its range") };
        let windows = windows(self.evaluation, node, self.grid)?;
        let mut values = vec![1.0; self.grid.steps];
        for series in &windows.series {
            windows.each(&series.samples, self.grid, |step, window, _| {
                if let Some(value) = values.get_mut(step).filter(|_| !window.is_empty()) {
                    *value = absent();
                }
            });
        }
        Ok(Series { labels: asked_for(self.evaluation, Some(node)), values })
    }
}

fn over_time(evaluation: &Evaluation<'_>, function: OverTime, args: &[Node], grid: &Grid) -> Result<Value, QueryError> {
    let Some(place) = args.iter().position(|arg| matches!(arg, Node::Window { .. })) else {
        return execution("a range was expected");
    };
    let mut params = Vec::new();
    for (_, arg) in args.iter().enumerate().filter(|(at, _)| *at != place) {
        params.push(evaluation.value(arg, grid)?.scalar()?);
    }
    over_time::check(function, &params)?;
    let Some(node) = args.get(place) else { return execution("a range was expected") };
    let windows = windows(evaluation, node, grid)?;
    evaluation.limits.allow(windows.series.len().saturating_mul(grid.steps))?;
    let mut found = Vec::new();
    for (count, series) in windows.series.iter().enumerate() {
        if count % 256 == 0 {
            evaluation.limits.check()?;
        }
        let mut values = vec![absent(); grid.steps];
        windows.each(&series.samples, grid, |step, samples, end_ms| {
            let window = over_time::Window { samples, range_ms: windows.range_ms, end_ms, at_ms: grid.at(step) };
            let param = |place: usize| params.get(place).and_then(|values| values.get(step)).copied().unwrap_or(f64::NAN);
            if let (Some(value), false) = (values.get_mut(step), samples.is_empty()) {
                *value = function.compute(&window, &param).unwrap_or_else(absent);
            }
        });
        let labels = if function == OverTime::Last { series.labels.clone() } else { without_name(&series.labels) };
        let one = Series { labels, values };
        if !one.is_empty() {
            found.push(one);
        }
    }
    Ok(Value::Vector(distinct(found)?))
}

/// The value where there is exactly one series, and no number elsewhere.
fn only_one(series: &[Series], grid: &Grid) -> Vec<f64> {
    let value = |step: usize| {
        let mut present = series.iter().filter_map(|one| one.values.get(step)).filter(|value| !is_absent(**value));
        match (present.next(), present.next()) {
            (Some(value), None) => *value,
            _ => f64::NAN,
        }
    };
    (0..grid.steps).map(value).collect()
}

fn none_of(series: &[Series], labels: Labels, grid: &Grid) -> Series {
    let is_there = |step: usize| series.iter().any(|one| one.values.get(step).is_some_and(|value| !is_absent(*value)));
    Series { labels, values: (0..grid.steps).map(|step| if is_there(step) { absent() } else { 1.0 }).collect() }
}

/// Labels that a selector fixes; of anything else nothing is known.
fn asked_for(evaluation: &Evaluation<'_>, node: Option<&Node>) -> Labels {
    let select = match node {
        Some(Node::Instant { select, .. } | Node::Window { from: WindowOf::Select(select), .. }) => *select,
        _ => return Labels::from([]),
    };
    let matchers: &[Matcher] = evaluation.plan.selects().get(select).map_or(&[], |select| &select.matchers);
    let mut labels = Labels::from([]);
    let mut seen = std::collections::HashSet::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name != NAME) {
        if matcher.op == MatchOp::Equal && seen.insert(matcher.name.as_str()) {
            labels = super::series::with_label(&labels, &matcher.name, &matcher.value);
        } else {
            labels = keep(&labels, |name| name != matcher.name);
        }
    }
    labels
}
