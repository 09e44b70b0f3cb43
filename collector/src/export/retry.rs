//! How long a sender waits after a failure: longer each time, never all at once, and as long as the backend asks for.

use std::time::Duration;

use rand::Rng;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// Wait after the first failure.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// Longest wait of our own.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest wait that a backend may ask for: the queue fills meanwhile.
const ASKED_MAX: Duration = Duration::from_secs(600);

/// As HTTP writes it; the day of the week says nothing new.
const HTTP_DATE: &[BorrowedFormatItem<'static>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Between half and all of 1 s, 2 s, 4 s … 60 s; never less than the backend asked for.
    pub fn failed(&mut self, asked: Option<Duration>) -> Duration {
        let full = WAIT_MIN.saturating_mul(1 << self.failures.min(6)).min(WAIT_MAX);
        self.failures = self.failures.saturating_add(1);
        let own = full.mul_f64(rand::rng().random_range(0.5..=1.0));
        match asked {
            // The jitter on top, so that many senders do not come back at the same moment.
            Some(asked) => asked.min(ASKED_MAX) + WAIT_MIN.mul_f64(rand::rng().random_range(0.0..=0.5)),
            None => own,
        }
    }
}

/// The value of `Retry-After`: seconds, or a date.
#[must_use]
pub fn retry_after(value: &str, now: OffsetDateTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = PrimitiveDateTime::parse(value.trim(), HTTP_DATE).ok()?.assume_utc();
    Some(Duration::try_from(date - now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        for full_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.failed(None);
            let full = Duration::from_secs(full_s);
            assert!(wait >= full / 2 && wait <= full, "{wait:?} of {full:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed(None) <= WAIT_MIN);
    }

    #[test]
    fn a_backend_is_asked_again_when_it_said() {
        let mut backoff = Backoff::default();
        let wait = backoff.failed(Some(Duration::from_secs(17)));
        assert!(wait >= Duration::from_secs(17) && wait <= Duration::from_millis(17_500), "{wait:?}");
        assert!(backoff.failed(Some(Duration::MAX)) <= ASKED_MAX + WAIT_MIN);
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now = datetime!(1994-11-06 08:49:30 UTC);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
