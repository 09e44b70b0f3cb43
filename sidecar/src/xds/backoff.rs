//! How long to wait before the next attempt to reach the control plane.

use std::time::Duration;

use rand::Rng;

/// The first pause is below half a second, as Envoy's; none is above ten, so that a control plane that is back is seen soon.
const BASE: Duration = Duration::from_millis(500);
const MAX: Duration = Duration::from_secs(10);

/// Exponential with full jitter, so that a fleet does not come back in step.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    pub fn next(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        // Never none at all: a control plane that closes at once must not be hammered.
        ceiling.mul_f64(rand::rng().random_range(0.1..1.0))
    }

    fn ceiling(&self) -> Duration {
        BASE.saturating_mul(1 << self.failures.min(10)).min(MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_maximum_and_start_over() {
        let mut backoff = Backoff::default();
        assert!(backoff.next() < BASE);
        for _ in 0..20 {
            assert!(backoff.next() <= MAX);
        }
        assert_eq!(backoff.ceiling(), MAX);
        backoff.reset();
        assert_eq!(backoff.ceiling(), BASE);
    }
}
