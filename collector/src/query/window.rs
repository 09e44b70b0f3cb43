//! Cuts the stretch of time that a question is about to whole rollup steps.

use crate::store::Window;

/// Length of the finest rollup step.
pub const STEP_MS: i64 = 10_000;

/// The last `duration_s` seconds (rounded up to whole steps, at least one) of complete steps at `end_ms`.
///
/// A rate is the number of requests inside divided by the window's seconds: no extrapolation, so that rate times window is the
/// proxies' own count. The newest step that is still being filled stays outside, otherwise every rate would sag until it is full.
#[must_use]
pub fn ending(end_ms: i64, duration_s: u64) -> Window {
    let to_ms = end_ms.div_euclid(STEP_MS) * STEP_MS;
    let wanted_ms = i64::try_from(duration_s).unwrap_or(i64::MAX).saturating_mul(1000);
    let steps = (wanted_ms.saturating_add(STEP_MS - 1) / STEP_MS).max(1);
    Window { from_ms: to_ms.saturating_sub(steps.saturating_mul(STEP_MS)), to_ms }
}

/// Events per second of `amount` inside the window.
#[must_use]
pub fn per_second(window: Window, amount: f64) -> f64 {
    let seconds = window.seconds();
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{ending, per_second};
    use crate::store::Window;

    #[test]
    fn the_step_that_is_being_filled_stays_outside() {
        assert_eq!(ending(1_000_009_999, 60), Window { from_ms: 999_940_000, to_ms: 1_000_000_000 });
        assert_eq!(ending(1_000_010_000, 60), Window { from_ms: 999_950_000, to_ms: 1_000_010_000 });
    }

    #[test]
    fn durations_grow_to_whole_steps() {
        assert!((ending(1_000_000_000, 61).seconds() - 70.0).abs() < 1e-9);
        assert!((ending(1_000_000_000, 0).seconds() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_rate_is_amount_over_seconds() {
        assert!((per_second(ending(1_000_000_000, 60), 90.0) - 1.5).abs() < 1e-12);
    }

    #[test]
    fn absurd_durations_do_not_overflow() {
        assert!(ending(1_000_000_000, u64::MAX).from_ms < 0);
    }
}
