//! Looks at samples: the newest one of each step, and the windows that end at each step.

use super::eval::Evaluation;
use super::plan::{Node, Shift, WindowOf};
use super::series::{Grid, Series, Value, absent, is_absent};
use super::{QueryError, execution};
use crate::store::sample::{Labels, Sample, SeriesSamples, is_stale};

/// A series of which windows are taken; without marks of ends.
pub struct Windowed {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

/// The windows of one node.
pub struct Windows {
    pub series: Vec<Windowed>,
    pub range_ms: i64,
    pub shift: Shift,
}

impl Windows {
    /// Where the window that belongs to a step ends.
    pub fn end_ms(&self, grid: &Grid, step: usize) -> i64 {
        self.shift.apply(grid.at(step))
    }

    /// Calls `each` with every step's window of one series, both ends included, and with its end.
    pub fn each<'s>(&self, samples: &'s [Sample], grid: &Grid, mut each: impl FnMut(usize, &'s [Sample], i64)) {
        let (mut first, mut last, mut before_ms) = (0, 0, i64::MIN);
        for step in 0..grid.steps {
            let end_ms = self.end_ms(grid, step);
            let start_ms = end_ms.saturating_sub(self.range_ms);
            if end_ms < before_ms {
                (first, last) = (0, 0);
            }
            before_ms = end_ms;
            while samples.get(last).is_some_and(|sample| sample.t_ms <= end_ms) {
                last += 1;
            }
            while first < last && samples.get(first).is_some_and(|sample| sample.t_ms < start_ms) {
                first += 1;
            }
            each(step, samples.get(first..last).unwrap_or_default(), end_ms);
        }
    }
}

/// What of a sample an instant selector yields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Take {
    Value,
    /// Unix seconds.
    Time,
}

/// The newest sample of each series at each step, if it is young enough and no mark of its end.
pub fn instant(series: &[SeriesSamples], grid: &Grid, shift: Shift, lookback_ms: i64, take: Take) -> Vec<Series> {
    let mut found = Vec::with_capacity(series.len());
    for one in series {
        let mut values = Vec::with_capacity(grid.steps);
        let mut next = 0;
        for step in 0..grid.steps {
            let at_ms = shift.apply(grid.at(step));
            while one.samples.get(next).is_some_and(|sample| sample.t_ms <= at_ms) {
                next += 1;
            }
            let newest = next.checked_sub(1).and_then(|place| one.samples.get(place));
            let fitting = newest.filter(|sample| sample.t_ms >= at_ms.saturating_sub(lookback_ms) && !is_stale(sample.value));
            values.push(fitting.map_or_else(absent, |sample| match take {
                Take::Value => sample.value,
                Take::Time => sample.t_ms as f64 / 1000.0,
            }));
        }
        let series = Series { labels: one.labels.clone(), values };
        if !series.is_empty() {
            found.push(series);
        }
    }
    found
}

/// The samples that the windows of a node are cut from.
pub fn windows(evaluation: &Evaluation<'_>, node: &Node, grid: &Grid) -> Result<Windows, QueryError> {
    let Node::Window { from, range_ms, shift } = node else { return execution("a range was expected") };
    let series = match from {
        WindowOf::Select(select) => {
            let stored = evaluation.fetched(*select);
            let live = |series: &SeriesSamples| Windowed {
                labels: series.labels.clone(),
                samples: series.samples.iter().filter(|sample| !is_stale(sample.value)).copied().collect(),
            };
            stored.iter().map(live).collect()
        }
        WindowOf::Subquery { of, step_ms } => {
            let inner = subquery_grid(grid, *range_ms, *shift, *step_ms)?;
            evaluation.limits.allow(inner.steps)?;
            computed(evaluation.value(of, &inner)?, &inner)
        }
    };
    Ok(Windows { series, range_ms: *range_ms, shift: *shift })
}

/// Steps of a sub-query are multiples of its step, whenever it is asked.
fn subquery_grid(grid: &Grid, range_ms: i64, shift: Shift, step_ms: i64) -> Result<Grid, QueryError> {
    let (first_ms, last_ms) = (shift.apply(grid.at(0)), shift.apply(grid.at(grid.steps.saturating_sub(1))));
    let from_ms = first_ms.min(last_ms).saturating_sub(range_ms);
    let mut start_ms = (from_ms / step_ms) * step_ms;
    if start_ms < from_ms {
        start_ms = start_ms.saturating_add(step_ms);
    }
    let steps = last_ms.max(first_ms).saturating_sub(start_ms).div_euclid(step_ms).saturating_add(1);
    match usize::try_from(steps.max(0)) {
        Ok(steps) => Ok(Grid { start_ms, step_ms, steps }),
        Err(_) => execution("a sub-query has too many steps"),
    }
}

fn computed(value: Value, grid: &Grid) -> Vec<Windowed> {
    let series = match value {
        Value::Vector(series) => series,
        Value::Scalar(values) => vec![Series { labels: Labels::from([]), values }],
        Value::Text(_) => Vec::new(),
    };
    let samples = |series: &Series| {
        let present = series.values.iter().enumerate().filter(|(_, value)| !is_absent(**value));
        present.map(|(step, value)| Sample { t_ms: grid.at(step), value: *value }).collect()
    };
    series.iter().map(|series| Windowed { labels: series.labels.clone(), samples: samples(series) }).collect()
}
