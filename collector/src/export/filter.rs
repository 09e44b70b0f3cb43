//! Which of the stored spans are sent on.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::store::Span;

/// Every condition must hold; without any, all spans pass.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanFilter {
    /// Names of services; empty for all.
    pub services: BTreeSet<String>,
    pub errors_only: bool,
    pub duration_min: Duration,
    /// Of the traces; a trace is sent whole or not at all, and the same ones by every collector.
    pub sampling_percent: f64,
}

impl Default for SpanFilter {
    fn default() -> Self {
        Self { services: BTreeSet::new(), errors_only: false, duration_min: Duration::ZERO, sampling_percent: 100.0 }
    }
}

/// OpenTelemetry's consistent sampling looks at the last 56 bits of the trace id.
const RANDOM_BITS: u32 = 56;

impl SpanFilter {
    #[must_use]
    pub fn passes(&self, span: &Span) -> bool {
        (!self.errors_only || span.is_error)
            && u128::try_from(span.duration_ns).unwrap_or(0) >= self.duration_min.as_nanos()
            && (self.services.is_empty() || self.services.contains(&**span.service()))
            && is_sampled(&span.trace_id, self.sampling_percent)
    }
}

/// Whether a trace belongs to this share of all traces. The share of a smaller percentage lies within that of a larger one.
#[must_use]
pub fn is_sampled(trace_id: &[u8; 16], percent: f64) -> bool {
    let mut low = [0; 8];
    low[1..].copy_from_slice(&trace_id[9..]);
    let rejected = (1.0 - (percent / 100.0).clamp(0.0, 1.0)) * (1_u64 << RANDOM_BITS) as f64;
    u64::from_be_bytes(low) >= rejected as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Resource;

    fn span(service: &str, duration_ms: i64, is_error: bool) -> Span {
        let resource = Arc::new(Resource { service: service.into(), ..Resource::default() });
        Span { trace_id: [1; 16], resource, duration_ns: duration_ms * 1_000_000, is_error, ..Span::default() }
    }

    #[test]
    fn every_condition_must_hold() {
        let filter = SpanFilter {
            services: ["reviews".to_owned()].into(),
            errors_only: true,
            duration_min: Duration::from_millis(5),
            ..SpanFilter::default()
        };
        assert!(filter.passes(&span("reviews", 5, true)));
        assert!(!filter.passes(&span("details", 5, true)));
        assert!(!filter.passes(&span("reviews", 4, true)));
        assert!(!filter.passes(&span("reviews", 5, false)));
        assert!(SpanFilter::default().passes(&span("", 0, false)));
    }

    #[test]
    fn a_share_of_the_traces_is_sampled() {
        let trace = |number: u64| {
            let mut id = [0; 16];
            id[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            id
        };
        let count = |percent| (1..=10_000).filter(|number| is_sampled(&trace(*number), percent)).count();
        assert_eq!((count(0.0), count(100.0)), (0, 10_000));
        let tenth = count(10.0);
        assert!((900..=1_100).contains(&tenth), "{tenth}");
        assert!((1..=10_000).all(|number| !is_sampled(&trace(number), 5.0) || is_sampled(&trace(number), 10.0)));
    }
}
