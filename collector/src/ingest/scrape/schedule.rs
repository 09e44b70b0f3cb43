//! When a target is scraped: at the same phase of every interval, whichever collector does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock;

/// A scrape that begins this late still gets the time it was planned for, but never more than a tenth of its interval:
/// times at even distances cost next to nothing at rest.
const SNAPPED_WITHIN_MS: i64 = 500;
/// A target that was just found is scraped within this time.
const FIRST_SCRAPE_WITHIN_MS: i64 = 250;
/// Differences of clocks up to this are left alone: times would wander with every measurement.
const CLOCK_SLACK_MS: i64 = 250;

/// The time by which scrapes are dated: the database's, where several collectors share one.
#[derive(Clone)]
pub struct ScrapeClock {
    /// Added to the machine's clock.
    ahead_ms: Arc<AtomicI64>,
    machine: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Default for ScrapeClock {
    fn default() -> Self {
        Self::of_machine(clock::now_ms)
    }
}

impl ScrapeClock {
    /// By the clock of a machine, which tells Unix milliseconds.
    pub fn of_machine(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self { ahead_ms: Arc::default(), machine: Arc::new(now_ms) }
    }

    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.machine_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Of this machine.
    #[must_use]
    pub fn machine_ms(&self) -> i64 {
        (self.machine)()
    }

    /// Takes up what the database's clock showed at a time of this machine's.
    pub fn follow(&self, database_ms: i64, machine_ms: i64) {
        let ahead_ms = database_ms - machine_ms;
        if (ahead_ms - self.ahead_ms.load(Ordering::Relaxed)).abs() > CLOCK_SLACK_MS {
            self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
        }
    }
}

/// The moments at which one target is scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval_ms: i64,
    offset_ms: i64,
}

impl Schedule {
    /// The same key has the same phase everywhere, so that the load is spread and a target that moves to another
    /// collector keeps its times.
    #[must_use]
    pub fn new(key: &str, interval: Duration) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        Self { interval_ms, offset_ms: hash(key).rem_euclid(interval_ms) }
    }

    /// The first moment after a time.
    #[must_use]
    pub fn after(&self, now_ms: i64) -> i64 {
        let periods = (now_ms - self.offset_ms).div_euclid(self.interval_ms) + 1;
        periods * self.interval_ms + self.offset_ms
    }

    /// When a target that was just found is scraped first.
    #[must_use]
    pub fn first_after(&self, now_ms: i64) -> i64 {
        now_ms + self.offset_ms % FIRST_SCRAPE_WITHIN_MS.min(self.interval_ms)
    }

    /// The time that a scrape gets which was planned for one moment and began at another.
    #[must_use]
    pub fn snapped(&self, planned_ms: i64, began_ms: i64) -> i64 {
        let slack_ms = SNAPPED_WITHIN_MS.min(self.interval_ms / 10);
        if (planned_ms - self.offset_ms).rem_euclid(self.interval_ms) == 0 && (began_ms - planned_ms).abs() <= slack_ms {
            planned_ms
        } else {
            began_ms
        }
    }
}

fn hash(key: &str) -> i64 {
    let hash = blake3::hash(key.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_even_and_the_same_for_everybody() {
        let schedule = Schedule::new("http://a/metrics", Duration::from_secs(15));
        assert_eq!(schedule, Schedule::new("http://a/metrics", Duration::from_secs(15)));
        let first = schedule.after(1_800_000_000_000);
        assert!((1_800_000_000_001..=1_800_000_015_000).contains(&first), "{first}");
        assert_eq!(schedule.after(first), first + 15_000);
        assert_eq!(schedule.after(first - 1), first);
    }

    #[test]
    fn targets_are_spread_over_the_interval() {
        let mut tenths = [0; 10];
        for number in 0..1_000 {
            let schedule = Schedule::new(&format!("http://10.0.0.{number}/metrics"), Duration::from_secs(10));
            tenths[usize::try_from(schedule.offset_ms / 1_000).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (60..140).contains(count)), "{tenths:?}");
    }

    #[test]
    fn a_scrape_gets_the_time_it_was_planned_for_unless_it_is_late() {
        let schedule = Schedule { interval_ms: 15_000, offset_ms: 3_000 };
        assert_eq!(schedule.snapped(18_000, 18_040), 18_000);
        assert_eq!(schedule.snapped(18_000, 18_501), 18_501);
        assert_eq!(schedule.snapped(18_100, 18_140), 18_140, "not planned by the schedule");
        let quick = Schedule { interval_ms: 1_000, offset_ms: 0 };
        assert_eq!(quick.snapped(5_000, 5_101), 5_101);
    }

    #[test]
    fn clocks_follow_the_database_but_not_its_jitter() {
        let clock = ScrapeClock::of_machine(|| crate::clock::now_ms() - 60_000);
        clock.follow(1_060_000, 1_000_000);
        assert!((clock.now_ms() - crate::clock::now_ms()).abs() < 1_000);
        let before = clock.ahead_ms.load(Ordering::Relaxed);
        clock.follow(1_060_200, 1_000_000);
        assert_eq!(clock.ahead_ms.load(Ordering::Relaxed), before);
        clock.follow(1_061_000, 1_000_000);
        assert_eq!(clock.ahead_ms.load(Ordering::Relaxed), 61_000);
    }
}
