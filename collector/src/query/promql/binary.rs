//! Operators between two values: numbers, vectors, and vectors whose series find each other by their labels.

use std::collections::HashMap;

use promql_parser::parser::VectorMatchCardinality as Card;
use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ, T_POW, T_SUB,
    TokenId,
};

use super::plan::{Binary, Grouping};
use super::series::{Grid, Series, Value, absent, is_absent, keep, label, merged, with_label, without_name};
use super::{Limits, QueryError, execution};
use crate::store::sample::{Labels, NAME};

pub(super) fn binary(binary: &Binary, left: Value, right: Value, grid: &Grid, limits: &Limits) -> Result<Value, QueryError> {
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Value::Scalar(left.iter().zip(&right).map(|(left, right)| scalars(binary.op.id(), *left, *right)).collect())
        }
        (Value::Vector(series), Value::Scalar(scalar)) => Value::Vector(with_scalar(binary, series, &scalar, Side::Right)?),
        (Value::Scalar(scalar), Value::Vector(series)) => Value::Vector(with_scalar(binary, series, &scalar, Side::Left)?),
        (Value::Vector(left), Value::Vector(right)) => Value::Vector(match binary.op.id() {
            T_LAND | T_LOR | T_LUNLESS => set(binary, left, right, grid),
            _ => matched(binary, left, right, grid, limits)?,
        }),
        (Value::Text(_), _) | (_, Value::Text(_)) => return execution("a string stands beside an operator"),
    })
}

fn is_comparison(op: TokenId) -> bool {
    matches!(op, T_EQLC | T_NEQ | T_GTR | T_LSS | T_GTE | T_LTE)
}

fn compare(op: TokenId, left: f64, right: f64) -> bool {
    match op {
        T_EQLC => left == right,
        T_NEQ => left != right,
        T_GTR => left > right,
        T_LSS => left < right,
        T_GTE => left >= right,
        _ => left <= right,
    }
}

fn compute(op: TokenId, left: f64, right: f64) -> f64 {
    match op {
        T_ADD => left + right,
        T_SUB => left - right,
        T_MUL => left * right,
        T_DIV => left / right,
        T_POW => left.powf(right),
        T_MOD => left % right,
        T_ATAN2 => left.atan2(right),
        _ => f64::NAN,
    }
}

fn scalars(op: TokenId, left: f64, right: f64) -> f64 {
    if is_comparison(op) { f64::from(u8::from(compare(op, left, right))) } else { compute(op, left, right) }
}

/// The result for two values that met; `None` where a comparison drops it.
fn meet(binary: &Binary, left: f64, right: f64, kept: f64) -> Option<f64> {
    let op = binary.op.id();
    if !is_comparison(op) {
        return Some(compute(op, left, right));
    }
    let holds = compare(op, left, right);
    if binary.is_bool { Some(f64::from(u8::from(holds))) } else { holds.then_some(kept) }
}

/// A comparison without `bool` leaves its series as they are; whatever is computed has no name.
fn drops_name(binary: &Binary) -> bool {
    !is_comparison(binary.op.id()) || binary.is_bool
}

/// Where the scalar stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

fn with_scalar(binary: &Binary, series: Vec<Series>, scalar: &[f64], side: Side) -> Result<Vec<Series>, QueryError> {
    let value = |value: f64, other: f64| {
        if is_absent(value) {
            return value;
        }
        let (left, right) = if side == Side::Left { (other, value) } else { (value, other) };
        meet(binary, left, right, value).unwrap_or_else(absent)
    };
    let computed = series.into_iter().map(|one| Series {
        labels: if drops_name(binary) { without_name(&one.labels) } else { one.labels },
        values: one.values.iter().zip(scalar).map(|(own, other)| value(*own, *other)).collect(),
    });
    merged(computed.filter(|one| !one.is_empty()).collect())
}

fn present(series: &Series, step: usize) -> Option<f64> {
    series.values.get(step).copied().filter(|value| !is_absent(*value))
}

fn set(binary: &Binary, left: Vec<Series>, right: Vec<Series>, grid: &Grid) -> Vec<Series> {
    let steps_of = |series: &[Series]| {
        let mut steps: HashMap<Labels, Vec<bool>> = HashMap::new();
        for one in series {
            let known = steps.entry(binary.matching.of(&one.labels)).or_insert_with(|| vec![false; grid.steps]);
            for (step, is_there) in known.iter_mut().enumerate() {
                *is_there |= present(one, step).is_some();
            }
        }
        steps
    };
    let filtered = |series: Vec<Series>, steps: &HashMap<Labels, Vec<bool>>, wanted: bool| {
        let none = vec![false; grid.steps];
        let filter = move |mut one: Series| {
            let met = steps.get(&binary.matching.of(&one.labels)).unwrap_or(&none);
            for (value, is_met) in one.values.iter_mut().zip(met) {
                if *is_met != wanted {
                    *value = absent();
                }
            }
            (!one.is_empty()).then_some(one)
        };
        series.into_iter().filter_map(filter).collect::<Vec<_>>()
    };
    match binary.op.id() {
        T_LAND => filtered(left, &steps_of(&right), true),
        T_LUNLESS => filtered(left, &steps_of(&right), false),
        _ => {
            let others = filtered(right, &steps_of(&left), false);
            left.into_iter().chain(others).collect()
        }
    }
}

/// What the series of one signature come to; series of the side that may have many, and of the other.
#[derive(Default)]
struct Meeting {
    many: Vec<usize>,
    one: Vec<usize>,
}

fn matched(
    binary: &Binary,
    left: Vec<Series>,
    right: Vec<Series>,
    grid: &Grid,
    limits: &Limits,
) -> Result<Vec<Series>, QueryError> {
    let is_swapped = matches!(binary.card, Card::OneToMany(_));
    let (many, one) = if is_swapped { (right, left) } else { (left, right) };
    let mut meetings: HashMap<Labels, Meeting> = HashMap::new();
    let mut order: Vec<Labels> = Vec::new();
    for (place, series) in many.iter().enumerate() {
        let signature = binary.matching.of(&series.labels);
        let meeting = meetings.entry(signature.clone()).or_default();
        if meeting.many.is_empty() {
            order.push(signature);
        }
        meeting.many.push(place);
    }
    for (place, series) in one.iter().enumerate() {
        meetings.entry(binary.matching.of(&series.labels)).or_default().one.push(place);
    }
    let met = Met { binary, many: &many, one: &one, is_swapped, grid, limits };
    met.check_one_side(&meetings)?;
    let mut found = Vec::new();
    for signature in order {
        if let Some(meeting) = meetings.get(&signature).filter(|meeting| !meeting.one.is_empty()) {
            met.meeting(meeting, &mut found)?;
        }
    }
    merged(found)
}

struct Met<'a> {
    binary: &'a Binary,
    many: &'a [Series],
    one: &'a [Series],
    is_swapped: bool,
    grid: &'a Grid,
    limits: &'a Limits,
}

impl Met<'_> {
    /// Two series of the side that must have one, at the same step. Prometheus looks only where both sides have something.
    fn check_one_side(&self, meetings: &HashMap<Labels, Meeting>) -> Result<(), QueryError> {
        for meeting in meetings.values().filter(|meeting| meeting.one.len() > 1) {
            for step in 0..self.grid.steps {
                let mut there =
                    meeting.one.iter().filter_map(|place| self.one.get(*place)).filter(|s| present(s, step).is_some());
                let (Some(first), Some(second)) = (there.next(), there.next()) else { continue };
                if !self.many.iter().any(|series| present(series, step).is_some()) {
                    continue;
                }
                let side = if self.is_swapped { "left" } else { "right" };
                return execution(format!(
                    "found duplicate series for the match group on the {side} hand-side of the operation: [{}, {}];many-to-many \
                     matching not allowed: matching labels must be unique on one side",
                    text(&second.labels),
                    text(&first.labels)
                ));
            }
        }
        Ok(())
    }

    fn meeting(&self, meeting: &Meeting, found: &mut Vec<Series>) -> Result<(), QueryError> {
        let is_one_to_one = matches!(self.binary.card, Card::OneToOne);
        let mut taken = vec![false; if is_one_to_one { self.grid.steps } else { 0 }];
        // One series for all that come to the same labels: of the other side, another one may be there at each step.
        let mut places: HashMap<Labels, usize> = HashMap::new();
        for many in meeting.many.iter().filter_map(|place| self.many.get(*place)) {
            self.limits.check()?;
            for one in meeting.one.iter().filter_map(|place| self.one.get(*place)) {
                let results: Vec<_> =
                    (0..self.grid.steps).filter_map(|step| Some((step, self.at_step(many, one, step)?))).collect();
                if results.is_empty() {
                    continue;
                }
                let labels = self.labels(many, one);
                let place = *places.entry(labels).or_insert_with_key(|labels| {
                    found.push(Series { labels: labels.clone(), values: vec![absent(); self.grid.steps] });
                    found.len() - 1
                });
                self.limits.allow(found.len().saturating_mul(self.grid.steps))?;
                for (step, result) in results {
                    if taken.get_mut(step).is_some_and(|is_taken| std::mem::replace(is_taken, true)) {
                        return execution(
                            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                        );
                    }
                    if !is_absent(std::mem::replace(&mut found[place].values[step], result)) {
                        return execution("multiple matches for labels: grouping labels must ensure unique matches");
                    }
                }
            }
        }
        Ok(())
    }

    fn at_step(&self, many: &Series, one: &Series, step: usize) -> Option<f64> {
        let (many, one) = (present(many, step)?, present(one, step)?);
        let (left, right) = if self.is_swapped { (one, many) } else { (many, one) };
        meet(self.binary, left, right, left)
    }

    fn labels(&self, many: &Series, one: &Series) -> Labels {
        let labels = if drops_name(self.binary) { without_name(&many.labels) } else { many.labels.clone() };
        match (&self.binary.card, &self.binary.matching) {
            (Card::OneToOne, Grouping::By(names)) => keep(&labels, |name| names.iter().any(|wanted| wanted == name)),
            (Card::OneToOne, Grouping::Without(names)) => keep(&labels, |name| !names.iter().any(|unwanted| unwanted == name)),
            (card, _) => {
                let included = card.labels().map_or(&[][..], |labels| labels.labels.as_slice());
                let add = |labels: Labels, name: &String| with_label(&labels, name, label(&one.labels, name));
                included.iter().fold(labels, add)
            }
        }
    }
}

fn text(labels: &Labels) -> String {
    let name = label(labels, NAME);
    let rest = labels.iter().filter(|(name, _)| **name != *NAME);
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{name}{{{}}}", rest.join(", "))
}
