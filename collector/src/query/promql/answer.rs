//! The whole answer to a question, in the shapes that Prometheus' API knows.

use super::eval::Evaluation;
use super::plan::{Node, Plan};
use super::select::windows;
use super::series::{Grid, SAME_LABELS, Series, Value, is_absent};
use super::{Limits, QueryError, execution};
use crate::store::sample::{Labels, Sample, SeriesSamples};

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Scalar(Sample),
    Text { t_ms: i64, text: String },
    Vector(Vec<(Labels, Sample)>),
    Matrix(Vec<SeriesSamples>),
}

pub(super) fn answer(plan: &Plan, fetched: &[Vec<SeriesSamples>], limits: &Limits) -> Result<Answer, QueryError> {
    let evaluation = Evaluation { plan, fetched, limits };
    let grid = plan.grid();
    if matches!(plan.root, Node::Window { .. }) {
        return raw(&evaluation, &grid);
    }
    let value = evaluation.value(&plan.root, &grid)?;
    if plan.times.is_instant() { instant(value, &grid) } else { range(value, &grid) }
}

/// A range that no function took: the samples themselves.
fn raw(evaluation: &Evaluation<'_>, grid: &Grid) -> Result<Answer, QueryError> {
    let windows = windows(evaluation, &evaluation.plan.root, grid)?;
    let mut matrix = Vec::new();
    for series in &windows.series {
        let mut samples = Vec::new();
        windows.each(&series.samples, grid, |_, window, _| samples.extend_from_slice(window));
        if !samples.is_empty() {
            matrix.push(SeriesSamples { labels: series.labels.clone(), samples });
        }
    }
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Answer::Matrix(matrix))
}

fn instant(value: Value, grid: &Grid) -> Result<Answer, QueryError> {
    let t_ms = grid.at(0);
    Ok(match value {
        Value::Scalar(values) => Answer::Scalar(Sample { t_ms, value: values.first().copied().unwrap_or(f64::NAN) }),
        Value::Text(text) => Answer::Text { t_ms, text },
        Value::Vector(series) => {
            let value = |series: &Series| series.values.first().copied().filter(|value| !is_absent(*value));
            let with_value = series.into_iter().filter_map(|one| Some((value(&one)?, one.labels)));
            let vector: Vec<_> = with_value.map(|(value, labels)| (labels, Sample { t_ms, value })).collect();
            let mut seen = std::collections::HashSet::with_capacity(vector.len());
            if !vector.iter().all(|(labels, _)| seen.insert(labels.clone())) {
                return execution(SAME_LABELS);
            }
            Answer::Vector(vector)
        }
    })
}

fn range(value: Value, grid: &Grid) -> Result<Answer, QueryError> {
    let series = match value {
        Value::Scalar(values) => vec![Series { labels: Labels::from([]), values }],
        Value::Vector(series) => super::series::merged(series)?,
        Value::Text(_) => return execution("a string has no range"),
    };
    let samples = |series: &Series| {
        let present = series.values.iter().enumerate().filter(|(_, value)| !is_absent(**value));
        present.map(|(step, value)| Sample { t_ms: grid.at(step), value: *value }).collect::<Vec<_>>()
    };
    let mut matrix: Vec<SeriesSamples> =
        series.into_iter().map(|one| SeriesSamples { samples: samples(&one), labels: one.labels }).collect();
    matrix.retain(|series| !series.samples.is_empty());
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Answer::Matrix(matrix))
}
