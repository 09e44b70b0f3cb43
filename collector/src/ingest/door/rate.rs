//! A token bucket of items.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets a number of items in per second, and a second's worth at once. A batch that is larger than what is left goes
/// in whole, and whoever comes next waits for it: otherwise a batch larger than the bucket would never get in.
#[derive(Debug)]
pub struct Rate {
    bucket: Option<Mutex<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    /// Below zero while a large batch is being paid for.
    tokens: f64,
    filled_at: Instant,
}

impl Rate {
    #[must_use]
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        let bucket = per_second.map(|rate| {
            let per_second = f64::from(rate.get());
            Mutex::new(Bucket { per_second, tokens: per_second, filled_at: Instant::now() })
        });
        Self { bucket }
    }

    /// # Errors
    /// The time to wait.
    pub fn take(&self, items: usize) -> Result<(), Duration> {
        self.take_at(items, Instant::now())
    }

    fn take_at(&self, items: usize, now: Instant) -> Result<(), Duration> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        let mut bucket = bucket.lock();
        let passed_s = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed_s * bucket.per_second).min(bucket.per_second);
        bucket.filled_at = now;
        if bucket.tokens <= 0.0 {
            // The least wait lets one item in.
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / bucket.per_second));
        }
        bucket.tokens -= items as f64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::{Duration, Instant};

    use super::Rate;

    #[test]
    fn a_large_batch_is_paid_for_by_those_after_it() {
        let rate = Rate::new(NonZeroU32::new(100));
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(rate.take_at(60, at(0)), Ok(()));
        assert_eq!(rate.take_at(240, at(0)), Ok(()));
        let wait = rate.take_at(1, at(1000)).unwrap_err();
        assert!((1.0..1.02).contains(&wait.as_secs_f64()), "{wait:?}");
        assert_eq!(rate.take_at(1, at(2020)), Ok(()));
    }

    #[test]
    fn a_pause_fills_the_bucket_for_one_second_only() {
        let rate = Rate::new(NonZeroU32::new(10));
        let later = Instant::now() + Duration::from_secs(3600);
        assert_eq!(rate.take_at(10, later), Ok(()));
        assert!(rate.take_at(1, later).is_err());
        assert_eq!(Rate::new(None).take(usize::MAX), Ok(()));
    }
}
