//! Covers a window with as few rollup steps as possible: hours inside, minutes and tens of seconds at its ends.

use super::Window;
use super::schema::Family;

/// Steps of one family, `from_s` included, `to_s` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub family: Family,
    pub from_s: i64,
    pub to_s: i64,
}

/// Up to when each rollup family has been dropped, in the order of [`Family::ROLLUPS`].
pub(super) type DroppedBefore = [i64; 3];

/// The parts that together hold each moment of the window once, oldest first, and the window rounded outwards to them.
///
/// `newest_ms` is the newest sample of all: nothing lies behind it, so a window is not stretched beyond it.
pub(super) fn plan(window: Window, dropped: DroppedBefore, newest_ms: i64) -> (Window, Vec<Part>) {
    let from_s = floor_kept(window.from_ms.div_euclid(1000), dropped);
    let to_s = ceil_kept(-(-window.to_ms).div_euclid(1000), dropped).max(from_s);
    let to_ms = (to_s * 1000).min(window.to_ms.max(newest_ms)).max(from_s * 1000);
    (Window { from_ms: from_s * 1000, to_ms }, cover(from_s, to_s, dropped))
}

/// The finest family that still has the steps from `t_s` on.
fn finest(t_s: i64, dropped: DroppedBefore) -> Family {
    let kept = Family::ROLLUPS.iter().zip(dropped).find(|(_, before)| *before <= t_s);
    kept.map_or(Family::Hour, |(family, _)| *family)
}

fn floor_kept(t_s: i64, dropped: DroppedBefore) -> i64 {
    floor(t_s, finest(floor(t_s, 10), dropped).step_s())
}

fn ceil_kept(t_s: i64, dropped: DroppedBefore) -> i64 {
    let step = finest(floor(t_s - 1, 10), dropped).step_s();
    floor(t_s + step - 1, step)
}

fn cover(from_s: i64, to_s: i64, dropped: DroppedBefore) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut at = from_s;
    while at < to_s {
        let family = coarsest_from(at, to_s, dropped);
        let end = match family {
            Family::Hour => floor(to_s, 3600).max(at + 3600),
            Family::Minute => (floor(at, 3600) + 3600).min(floor(to_s, 60)).max(at + 60),
            _ => (floor(at, 60) + 60).min(to_s),
        };
        match parts.last_mut() {
            Some(last) if last.family == family => last.to_s = end,
            _ => parts.push(Part { family, from_s: at, to_s: end }),
        }
        at = end;
    }
    parts
}

/// The coarsest family with a step that starts here and ends inside the window, or the finest that is left.
fn coarsest_from(at: i64, to_s: i64, dropped: DroppedBefore) -> Family {
    let fits = |family: &&Family| at % family.step_s() == 0 && at + family.step_s() <= to_s;
    let finest = finest(at, dropped);
    let coarsest = Family::ROLLUPS.iter().rev().find(fits).copied().unwrap_or(Family::TenSeconds);
    coarsest.max(finest)
}

pub(super) fn floor(t_s: i64, step: i64) -> i64 {
    t_s.div_euclid(step) * step
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3600;
    const NOTHING: DroppedBefore = [i64::MIN; 3];

    fn part(family: Family, from_s: i64, to_s: i64) -> Part {
        Part { family, from_s, to_s }
    }

    #[test]
    fn a_long_window_is_mostly_hours() {
        let window = Window { from_ms: (HOUR + 55) * 1000, to_ms: (5 * HOUR + 65) * 1000 };
        let (covered, parts) = plan(window, NOTHING, i64::MAX);
        assert_eq!(covered, Window { from_ms: (HOUR + 50) * 1000, to_ms: (5 * HOUR + 70) * 1000 });
        assert_eq!(
            parts,
            [
                part(Family::TenSeconds, HOUR + 50, HOUR + 60),
                part(Family::Minute, HOUR + 60, 2 * HOUR),
                part(Family::Hour, 2 * HOUR, 5 * HOUR),
                part(Family::Minute, 5 * HOUR, 5 * HOUR + 60),
                part(Family::TenSeconds, 5 * HOUR + 60, 5 * HOUR + 70),
            ]
        );
    }

    #[test]
    fn the_window_ends_where_the_samples_end() {
        let window = Window { from_ms: 60_000, to_ms: 123_000 };
        assert_eq!(plan(window, NOTHING, 122_000).0.to_ms, 123_000);
        assert_eq!(plan(window, NOTHING, 127_000).0.to_ms, 127_000);
        assert_eq!(plan(window, NOTHING, 900_000).0.to_ms, 130_000);
    }

    #[test]
    fn dropped_steps_are_answered_by_coarser_ones() {
        let window = Window { from_ms: 65_000, to_ms: 7_195_000 };
        let (covered, parts) = plan(window, [HOUR, 0, i64::MIN], i64::MAX);
        assert_eq!(covered.from_ms, 60_000);
        assert_eq!(covered.to_ms, 7_200_000);
        assert_eq!(parts[0], part(Family::Minute, 60, HOUR));
        let (covered, parts) = plan(window, [3 * HOUR, 3 * HOUR, i64::MIN], i64::MAX);
        assert_eq!(covered, Window { from_ms: 0, to_ms: 7_200_000 });
        assert_eq!(parts, [part(Family::Hour, 0, 2 * HOUR)]);
    }

    proptest! {
        #[test]
        fn parts_hold_each_moment_once(from in 0i64..100_000, length in 0i64..1_000_000, fine in 0i64..20, middle in 0i64..20) {
            let dropped = [fine.max(middle) * 7200, middle * 7200, i64::MIN];
            let window = Window { from_ms: from * 1000, to_ms: (from + length) * 1000 };
            let (covered, parts) = plan(window, dropped, i64::MAX);
            prop_assert!(covered.from_ms <= window.from_ms && covered.to_ms >= window.to_ms);
            let mut at = covered.from_ms / 1000;
            for part in &parts {
                prop_assert_eq!(part.from_s, at);
                prop_assert_eq!(part.from_s % part.family.step_s(), 0);
                prop_assert_eq!(part.to_s % part.family.step_s(), 0);
                prop_assert!(part.to_s > part.from_s);
                at = part.to_s;
            }
            prop_assert_eq!(at, covered.to_ms / 1000);
            prop_assert!(parts.len() <= 9);
        }
    }
}
