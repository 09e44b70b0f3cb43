//! Cuts the stretch of time that a question is about to whole rollup steps.

use super::params::{ParamError, Params};
use crate::store::Window;

/// Length of the finest rollup step.
pub const STEP_MS: i64 = 10_000;

/// When a question is asked, and of whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    pub now_ms: i64,
    /// How long after the end of a step a proxy may still deliver what belongs to it: one scrape interval.
    pub settle_ms: i64,
    /// Since when the store knows anything.
    pub born_ms: i64,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whole steps for which all proxies have told. A rate is the number of requests inside divided by its seconds: no
    /// extrapolation, so that rate times window is the proxies' own count, and no sagging while a step fills.
    pub settled: Window,
    /// The steps since, of which only a part has arrived; absent when the question is about the past.
    pub fresh: Option<Window>,
}

impl Span {
    /// Reads `queryTime` and `duration`.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn read(params: &Params, moment: &Moment, default_s: u64) -> Result<Self, ParamError> {
        let duration_s = params.duration_s("duration", default_s)?;
        Ok(match params.filled("queryTime") {
            Some(_) => {
                let end_ms = params.time_ms("queryTime", moment.now_ms)?;
                Self { settled: moment.clip(ending(end_ms, duration_s)), fresh: None }
            }
            None => Self::live(moment, duration_s),
        })
    }

    fn live(moment: &Moment, duration_s: u64) -> Self {
        let settled = moment.clip(ending(moment.now_ms - moment.settle_ms, duration_s));
        let to_ms = (moment.now_ms.div_euclid(STEP_MS) + 1) * STEP_MS;
        Self { settled, fresh: Some(Window { from_ms: settled.to_ms, to_ms }) }
    }

    /// The last moment that is asked about.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.fresh.unwrap_or(self.settled).to_ms
    }
}

impl Moment {
    /// Leaves out the time before the store existed: a mesh that is a minute old has no ten minutes to divide by.
    fn clip(&self, window: Window) -> Window {
        let born_ms = self.born_ms.div_euclid(STEP_MS) * STEP_MS;
        if born_ms <= window.from_ms || born_ms >= window.to_ms {
            return window;
        }
        Window { from_ms: born_ms, ..window }
    }
}

/// The last `duration_s` seconds (rounded up to whole steps, at least one) of whole steps at `end_ms`.
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
    #![allow(clippy::unwrap_used)]
    use super::{Moment, Span, ending, per_second};
    use crate::query::params::Params;
    use crate::store::Window;

    const NOW: Moment = Moment { now_ms: 1_000_017_000, settle_ms: 5_000, born_ms: 0 };

    fn window(from_s: i64, to_s: i64) -> Window {
        Window { from_ms: from_s * 1000, to_ms: to_s * 1000 }
    }

    fn read(query: &str, moment: &Moment) -> Span {
        Span::read(&Params::parse(query), moment, 60).unwrap()
    }

    #[test]
    fn a_live_window_ends_with_the_last_step_that_everybody_has_told_of() {
        let live = read("", &NOW);
        assert_eq!(live, Span { settled: window(999_950, 1_000_010), fresh: Some(window(1_000_010, 1_000_020)) });
        assert_eq!(live.end_ms(), 1_000_020_000);
        let early = read("", &Moment { now_ms: 1_000_013_000, ..NOW });
        assert_eq!(early, Span { settled: window(999_940, 1_000_000), fresh: Some(window(1_000_000, 1_000_020)) });
    }

    #[test]
    fn a_window_of_the_past_is_what_was_asked_for() {
        assert_eq!(read("queryTime=1000000&duration=20", &NOW), Span { settled: window(999_980, 1_000_000), fresh: None });
    }

    #[test]
    fn time_before_the_store_existed_does_not_count() {
        let young = Moment { born_ms: 999_985_000, ..NOW };
        assert_eq!(read("", &young).settled, window(999_980, 1_000_010));
        assert_eq!(read("queryTime=999990&duration=20", &young).settled, window(999_980, 999_990));
        assert_eq!(read("queryTime=999970&duration=20", &young).settled, window(999_950, 999_970));
        let newborn = Moment { born_ms: 1_000_016_000, ..NOW };
        assert_eq!(read("duration=20", &newborn).settled, window(999_990, 1_000_010));
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
