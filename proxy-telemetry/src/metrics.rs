//! Istio's standard metrics and whatever families the proxy adds, without a lock on the path of a known request.

mod families;
mod histogram;
mod hot;
mod registry;
mod series;

pub(crate) use families::Value;
pub use families::{Counter, Families, Gauge, Kind, SAMPLES_MAX};
pub use histogram::{BOUNDS, Histogram, Snapshot};
pub use registry::{Registry, RegistrySettings, SERIES_IDLE, SERIES_MAX};
pub use series::Series;

/// What one finished request adds to its series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Whole milliseconds, truncated.
    pub duration_ms: u64,
    /// Bytes received from the downstream: headers and body.
    pub request_bytes: u64,
    /// Bytes sent to the downstream: headers and body.
    pub response_bytes: u64,
}

#[cfg(test)]
mod tests;
