//! Functions of windows: what happened to one series over a stretch of time.

use super::math::{Sum, quantile};
use super::{QueryError, execution};
use crate::store::sample::Sample;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OverTime {
    Rate,
    Increase,
    Delta,
    InstantRate,
    InstantDelta,
    Derivative,
    PredictLinear,
    HoltWinters,
    Changes,
    Resets,
    Average,
    Sum,
    Count,
    Min,
    Max,
    Last,
    First,
    Present,
    Deviation,
    Variance,
    Quantile,
    MedianDeviation,
}

/// The samples of one step; never none.
pub(super) struct Window<'a> {
    pub samples: &'a [Sample],
    pub range_ms: i64,
    pub end_ms: i64,
    /// The step itself, whatever the offset of the window.
    pub at_ms: i64,
}

impl OverTime {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "delta" => Self::Delta,
            "irate" => Self::InstantRate,
            "idelta" => Self::InstantDelta,
            "deriv" => Self::Derivative,
            "predict_linear" => Self::PredictLinear,
            "holt_winters" | "double_exponential_smoothing" => Self::HoltWinters,
            "changes" => Self::Changes,
            "resets" => Self::Resets,
            "avg_over_time" => Self::Average,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "last_over_time" => Self::Last,
            "first_over_time" => Self::First,
            "present_over_time" => Self::Present,
            "stddev_over_time" => Self::Deviation,
            "stdvar_over_time" => Self::Variance,
            "quantile_over_time" => Self::Quantile,
            "mad_over_time" => Self::MedianDeviation,
            _ => return None,
        })
    }

    /// `None` where the window is too short to tell. Parameters come in the order in which they are written.
    pub fn compute(self, window: &Window<'_>, param: &dyn Fn(usize) -> f64) -> Option<f64> {
        let samples = window.samples;
        let values = || samples.iter().map(|sample| sample.value);
        Some(match self {
            Self::Rate => extrapolated(window, Kind::Counter)? / (window.range_ms as f64 / 1000.0),
            Self::Increase => extrapolated(window, Kind::Counter)?,
            Self::Delta => extrapolated(window, Kind::Gauge)?,
            Self::InstantRate => last_two(samples, Kind::Counter)?,
            Self::InstantDelta => last_two(samples, Kind::Gauge)?,
            Self::Derivative => line(samples, samples.first()?.t_ms)?.0,
            Self::PredictLinear => {
                let (slope, intercept) = line(samples, window.at_ms)?;
                slope * param(0) + intercept
            }
            Self::HoltWinters => smoothed(samples, param(0), param(1))?,
            Self::Changes => pairs(samples, |before, now| now != before && !(now.is_nan() && before.is_nan())),
            Self::Resets => pairs(samples, |before, now| now < before),
            Self::Average => average(values()),
            Self::Sum => total(values()),
            Self::Count => samples.len() as f64,
            Self::Min => values().reduce(|least, value| if value < least || least.is_nan() { value } else { least })?,
            Self::Max => values().reduce(|most, value| if value > most || most.is_nan() { value } else { most })?,
            Self::Last => samples.last()?.value,
            Self::First => samples.first()?.value,
            Self::Present => 1.0,
            Self::Deviation => variance(values()).sqrt(),
            Self::Variance => variance(values()),
            Self::Quantile => quantile(param(0), values().collect()),
            Self::MedianDeviation => {
                let median = quantile(0.5, values().collect());
                quantile(0.5, values().map(|value| (value - median).abs()).collect())
            }
        })
    }
}

/// Parameters outside of which a function has no meaning.
pub(super) fn check(function: OverTime, params: &[Vec<f64>]) -> Result<(), QueryError> {
    if function != OverTime::HoltWinters {
        return Ok(());
    }
    for (place, name) in [(0, "smoothing"), (1, "trend")] {
        let values = params.get(place).map_or(&[][..], Vec::as_slice);
        if let Some(value) = values.iter().find(|value| !(**value > 0.0 && **value < 1.0)) {
            return execution(format!("invalid {name} factor. Expected: 0 < {name} factor < 1, got: {value}"));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// The change over the window, stretched to its ends as far as samples that come as regularly as before would reach.
fn extrapolated(window: &Window<'_>, kind: Kind) -> Option<f64> {
    let (samples, end_ms) = (window.samples, window.end_ms);
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < 2 {
        return None;
    }
    let mut change = last.value - first.value;
    if kind == Kind::Counter {
        let mut before = 0.0;
        for sample in samples {
            if sample.value < before {
                change += before;
            }
            before = sample.value;
        }
    }
    let start_ms = end_ms.saturating_sub(window.range_ms);
    let mut to_start_s = (first.t_ms - start_ms) as f64 / 1000.0;
    let to_end_s = (end_ms - last.t_ms) as f64 / 1000.0;
    let sampled_s = (last.t_ms - first.t_ms) as f64 / 1000.0;
    let average_s = sampled_s / (samples.len() - 1) as f64;
    if kind == Kind::Counter && change > 0.0 && first.value >= 0.0 {
        // Nothing was counted before the counter was zero.
        to_start_s = to_start_s.min(sampled_s * (first.value / change));
    }
    let threshold_s = average_s * 1.1;
    let reach = |gap_s: f64| if gap_s < threshold_s { gap_s } else { average_s / 2.0 };
    let covered_s = sampled_s + reach(to_start_s) + reach(to_end_s);
    Some(change * (covered_s / sampled_s))
}

fn last_two(samples: &[Sample], kind: Kind) -> Option<f64> {
    let [.., before, last] = samples else { return None };
    let change = if kind == Kind::Counter && last.value < before.value { last.value } else { last.value - before.value };
    let elapsed_ms = last.t_ms - before.t_ms;
    if elapsed_ms == 0 {
        return None;
    }
    Some(if kind == Kind::Counter { change / (elapsed_ms as f64 / 1000.0) } else { change })
}

/// Slope per second and value at a time, by least squares.
fn line(samples: &[Sample], at_ms: i64) -> Option<(f64, f64)> {
    let first = samples.first()?.value;
    if samples.len() < 2 {
        return None;
    }
    if samples.iter().all(|sample| sample.value == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [Sum::default(); 4];
    for sample in samples {
        let (x, y) = (sample.t_ms.saturating_sub(at_ms) as f64 / 1000.0, sample.value);
        x_sum.add(x);
        y_sum.add(y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    let of = |sum: Sum| sum.sum + sum.compensation;
    let (n, x, y) = (samples.len() as f64, of(x_sum), of(y_sum));
    let covariance = of(xy_sum) - x * y / n;
    let variance = of(xx_sum) - x * x / n;
    let slope = covariance / variance;
    Some((slope, y / n - slope * x / n))
}

/// Double exponential smoothing (Holt and Winters).
fn smoothed(samples: &[Sample], smoothing: f64, trend: f64) -> Option<f64> {
    let [first, second, ..] = samples else { return None };
    let (mut level, mut slope) = (first.value, second.value - first.value);
    let mut before = 0.0;
    for (place, sample) in samples.iter().enumerate().skip(1) {
        if place > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let forecast = (1.0 - smoothing) * (level + slope);
        before = level;
        level = smoothing * sample.value + forecast;
    }
    Some(level)
}

fn pairs(samples: &[Sample], counts: impl Fn(f64, f64) -> bool) -> f64 {
    let pairs = samples.iter().zip(samples.iter().skip(1));
    pairs.filter(|(before, now)| counts(before.value, now.value)).count() as f64
}

fn total(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum.total()
}

/// A running mean: the sum of large values could leave what a float can hold.
fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut count) = (Sum::default(), 0.0);
    for value in values {
        count += 1.0;
        if mean.sum.is_infinite() {
            let is_same_infinity = value.is_infinite() && (mean.sum > 0.0) == (value > 0.0);
            if is_same_infinity || value.is_finite() {
                continue;
            }
        }
        mean.add(value / count - mean.sum / count);
    }
    mean.total()
}

fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut squares, mut count) = (Sum::default(), Sum::default(), 0.0);
    for value in values {
        count += 1.0;
        let delta = value - (mean.sum + mean.compensation);
        mean.add(delta / count);
        squares.add(delta * (value - (mean.sum + mean.compensation)));
    }
    (squares.sum + squares.compensation) / count
}
