//! Samples of metrics: what a series is, and how its samples are kept.

pub mod block;
pub(crate) mod bytes;
pub mod compact;
pub(super) mod dictionary;
pub mod index;
pub mod matcher;
mod numbers;
mod pack;
pub mod read;
mod times;

#[cfg(test)]
mod traffic;

use std::sync::Arc;

/// The label that is the metric's name.
pub const NAME: &str = "__name__";

/// Prometheus' mark for "the series ended here": a NaN of its own.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The mark itself.
#[must_use]
pub fn stale() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether a value is the mark; every other NaN is a value.
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// Names and values by name; the metric's name is the label [`NAME`].
pub type Labels = Arc<[(Arc<str>, Arc<str>)]>;

/// A value at a time in Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub t_ms: i64,
    pub value: f64,
}

/// Equal to the last bit, so that marks and other NaNs can be compared.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.t_ms == other.t_ms && self.value.to_bits() == other.value.to_bits()
    }
}

/// One series and what is kept of it, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSamples {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}
