//! The one place that asks what time it is.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; zero on a machine whose clock is before that.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since this process first asked; never steps, whatever happens to the clock on the wall.
#[must_use]
pub fn steady_ms() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    i64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// One moment on both clocks: the wall's says when, the steady one says how long since another moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub wall_ms: i64,
    pub steady_ms: i64,
}

impl Moment {
    #[must_use]
    pub fn now() -> Self {
        Self { wall_ms: now_ms(), steady_ms: steady_ms() }
    }
}
