//! The time by which retention drops: a clock that jumped ahead must not cost what was kept.
//!
//! A machine without a battery starts in any year, a wrong time server sets any. What is dropped on the word of such a
//! clock is gone, and what is kept too long is only in the way; so time has to be seen passing. The believed time follows
//! the wall's clock when that moves as the steady clock does, or back. It takes a jump ahead only when the clock still says
//! so after [`BELIEVED_AFTER`] of work. The store remembers it, so that a restart begins where the last collector was.
//!
//! A collector that was off for longer than [`AHEAD_MAX`] looks the same: it drops that much later, once.

use crate::clock::Moment;

/// How far the clock may be ahead of what was seen passing: a restart takes this long at most.
pub const AHEAD_MAX_MS: i64 = 3_600_000;
/// A clock that was set wrong is set right within hours, by whoever is responsible for time.
pub const BELIEVED_AFTER_MS: i64 = 6 * 3_600_000;

/// What the store says about time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreTime {
    /// By which the last collector dropped; `None` in a store where none did.
    pub believed_ms: Option<i64>,
    /// The clock of the database's machine, where it has one of its own.
    pub database_ms: Option<i64>,
}

/// Follows the clock with suspicion.
#[derive(Clone, Copy, Debug)]
pub struct RetentionClock {
    believed: Moment,
    /// Steady time since which the clock has been too far ahead.
    ahead_since_ms: Option<i64>,
}

impl RetentionClock {
    #[must_use]
    pub fn new(store: StoreTime, now: Moment) -> Self {
        let wall_ms = store.believed_ms.unwrap_or(now.wall_ms).min(now.wall_ms);
        Self { believed: Moment { wall_ms, ..now }, ahead_since_ms: None }
    }

    /// The time to drop by. Of two clocks the slower one is asked: the database may be on another machine.
    pub fn advance(&mut self, store: StoreTime, now: Moment) -> i64 {
        let wall_ms = store.database_ms.map_or(now.wall_ms, |database_ms| database_ms.min(now.wall_ms));
        let expected_ms = self.believed.wall_ms + (now.steady_ms - self.believed.steady_ms).max(0);
        let is_ahead = wall_ms > expected_ms.saturating_add(AHEAD_MAX_MS);
        let ahead_since_ms = *self.ahead_since_ms.get_or_insert(now.steady_ms);
        let is_believed = !is_ahead || now.steady_ms - ahead_since_ms >= BELIEVED_AFTER_MS;
        if is_believed {
            self.ahead_since_ms = None;
        }
        self.believed = Moment { wall_ms: if is_believed { wall_ms } else { expected_ms }, ..now };
        self.believed.wall_ms
    }

    /// Whether the clock is not taken at its word now.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.ahead_since_ms.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const T: i64 = 1_795_413_600_000;
    const ALONE: StoreTime = StoreTime { believed_ms: None, database_ms: None };

    fn at(wall_ms: i64, steady_ms: i64) -> Moment {
        Moment { wall_ms, steady_ms }
    }

    #[test]
    fn time_that_passes_is_believed() {
        let mut clock = RetentionClock::new(ALONE, at(T, 0));
        assert_eq!(clock.advance(ALONE, at(T + 600_000, 600_000)), T + 600_000);
        // A little ahead, as after a nap; and back.
        assert_eq!(clock.advance(ALONE, at(T + 3_600_000, 1_200_000)), T + 3_600_000);
        assert_eq!(clock.advance(ALONE, at(T, 1_800_000)), T);
        assert!(!clock.is_doubted());
    }

    #[test]
    fn a_jump_ahead_is_believed_when_it_stays() {
        let mut clock = RetentionClock::new(ALONE, at(T, 0));
        assert_eq!(clock.advance(ALONE, at(T + 400 * DAY, 600_000)), T + 600_000);
        assert!(clock.is_doubted());
        let before = 600_000 + BELIEVED_AFTER_MS - 1;
        assert_eq!(clock.advance(ALONE, at(T + 400 * DAY + before, before)), T + before);
        assert_eq!(clock.advance(ALONE, at(T + 401 * DAY, before + 1)), T + 401 * DAY);
        assert!(!clock.is_doubted());
    }

    #[test]
    fn a_jump_that_is_mended_costs_nothing() {
        let mut clock = RetentionClock::new(ALONE, at(T, 0));
        assert_eq!(clock.advance(ALONE, at(T + 400 * DAY, 600_000)), T + 600_000);
        assert_eq!(clock.advance(ALONE, at(T + 1_200_000, 1_200_000)), T + 1_200_000);
        // The doubt begins anew with the next jump.
        let later = BELIEVED_AFTER_MS + 2_000_000;
        assert_eq!(clock.advance(ALONE, at(T + 400 * DAY, later)), T + later);
    }

    #[test]
    fn a_restart_goes_on_where_the_store_is() {
        let store = StoreTime { believed_ms: Some(T), database_ms: None };
        let mut wrong = RetentionClock::new(store, at(T + 400 * DAY, 0));
        assert_eq!(wrong.advance(store, at(T + 400 * DAY, 0)), T);
        let mut quick = RetentionClock::new(store, at(T + 60_000, 0));
        assert_eq!(quick.advance(store, at(T + 60_000, 0)), T + 60_000);
        let mut corrected = RetentionClock::new(StoreTime { believed_ms: Some(T + 400 * DAY), ..store }, at(T, 0));
        assert_eq!(corrected.advance(store, at(T, 0)), T);
    }

    #[test]
    fn the_database_has_a_say() {
        let mut clock = RetentionClock::new(ALONE, at(T, 0));
        let store = StoreTime { database_ms: Some(T + 1_000), ..ALONE };
        assert_eq!(clock.advance(store, at(T + 400 * DAY, 1_000)), T + 1_000);
        assert!(!clock.is_doubted());
    }
}
