//! Walks the tree.

use super::plan::{Node, Plan};
use super::select::{Take, instant};
use super::series::{Grid, Series, Value, distinct, is_absent, without_name};
use super::{Limits, QueryError, aggregate, binary, call, execution};
use crate::store::sample::SeriesSamples;

pub(super) struct Evaluation<'a> {
    pub plan: &'a Plan,
    pub fetched: &'a [Vec<SeriesSamples>],
    pub limits: &'a Limits,
}

impl Evaluation<'_> {
    pub fn fetched(&self, select: usize) -> &[SeriesSamples] {
        self.fetched.get(select).map_or(&[], Vec::as_slice)
    }

    pub fn value(&self, node: &Node, grid: &Grid) -> Result<Value, QueryError> {
        self.limits.check()?;
        let value = self.compute(node, grid)?;
        if let Value::Vector(series) = &value {
            self.limits.allow(series.len().saturating_mul(grid.steps))?;
        }
        Ok(value)
    }

    fn compute(&self, node: &Node, grid: &Grid) -> Result<Value, QueryError> {
        Ok(match node {
            Node::Number(number) => Value::Scalar(vec![*number; grid.steps]),
            Node::Text(text) => Value::Text(text.clone()),
            Node::Instant { select, shift, lookback_ms } => {
                let series = self.fetched(*select);
                self.limits.allow(series.len().saturating_mul(grid.steps))?;
                Value::Vector(instant(series, grid, *shift, *lookback_ms, Take::Value))
            }
            Node::Window { .. } => return execution("a range stands where a vector was expected"),
            Node::Call { name, args } => call::call(self, name, args, grid)?,
            Node::Aggregate { op, grouping, param, of } => {
                let param = match param {
                    Some(param) => Some(self.value(param, grid)?),
                    None => None,
                };
                let series = self.value(of, grid)?.vector()?;
                Value::Vector(aggregate::aggregate(*op, grouping, param, series, grid, self.limits)?)
            }
            Node::Binary(binary) => {
                let (left, right) = (self.value(&binary.left, grid)?, self.value(&binary.right, grid)?);
                binary::binary(binary, left, right, grid, self.limits)?
            }
            Node::Negative(of) => negative(self.value(of, grid)?)?,
        })
    }
}

fn negative(value: Value) -> Result<Value, QueryError> {
    Ok(match value {
        Value::Scalar(values) => Value::Scalar(values.iter().map(|value| -value).collect()),
        Value::Vector(series) => {
            let negated = series.into_iter().map(|one| Series {
                labels: without_name(&one.labels),
                values: one.values.iter().map(|value| if is_absent(*value) { *value } else { -value }).collect(),
            });
            Value::Vector(distinct(negated.collect())?)
        }
        Value::Text(_) => return execution("a string has no sign"),
    })
}
