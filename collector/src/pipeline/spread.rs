//! Lays what was counted between two scrapes onto the ten-second steps in between.
//!
//! Nobody saw when exactly the requests came; evenly is the best guess, and it keeps rates true when the scrape interval
//! does not fit the steps, or after a gap. The parts add up to the whole exactly.

use crate::store::{Histogram, Totals};

const STEP_MS: i64 = 10_000;
/// Parts of one difference. Over a longer gap not every step gets one, but every sixtieth of the gap does.
const PARTS_MAX: i64 = 60;

/// Parts by the start of their step in Unix seconds, oldest first. Without a beginning everything belongs to the end.
#[must_use]
pub fn spread(whole: &Totals, from_ms: Option<i64>, to_ms: i64) -> Vec<(i64, Totals)> {
    let from_ms = from_ms.filter(|from_ms| *from_ms < to_ms).unwrap_or(to_ms - 1);
    let length = i128::from(to_ms - from_ms);
    let mut parts = Vec::new();
    let mut done = Totals::default();
    for (step_s, until_ms) in cuts(from_ms, to_ms) {
        let upto = share(whole, i128::from(until_ms - from_ms), length);
        let part = difference(&upto, &done);
        done = upto;
        if !is_nothing(&part) {
            parts.push((step_s, part));
        }
    }
    parts
}

/// Steps, and until when each of them counts.
fn cuts(from_ms: i64, to_ms: i64) -> Vec<(i64, i64)> {
    // The moment of the last scrape itself was counted by it, so the span is open at its beginning.
    let first = from_ms.div_euclid(STEP_MS);
    let last = (to_ms - 1).div_euclid(STEP_MS);
    if last - first < PARTS_MAX {
        return (first..=last).map(|step| (step * 10, ((step + 1) * STEP_MS).min(to_ms))).collect();
    }
    let length = to_ms - from_ms;
    (1..=PARTS_MAX)
        .map(|part| {
            let until_ms = from_ms + length * part / PARTS_MAX;
            ((until_ms - 1).div_euclid(STEP_MS) * 10, until_ms)
        })
        .collect()
}

fn share(whole: &Totals, part: i128, length: i128) -> Totals {
    let count = |value: u64| ((i128::from(value) * part * 2 + length) / (2 * length)) as u64;
    let real = |value: f64| if part == length { value } else { (value * part as f64 / length as f64).round() };
    Totals {
        requests: count(whole.requests),
        duration: Histogram {
            bounds: whole.duration.bounds.clone(),
            counts: whole.duration.counts.iter().map(|value| count(*value)).collect(),
            sum: real(whole.duration.sum),
        },
        request_bytes: real(whole.request_bytes),
        response_bytes: real(whole.response_bytes),
        request_messages: count(whole.request_messages),
        response_messages: count(whole.response_messages),
        tcp_sent_bytes: count(whole.tcp_sent_bytes),
        tcp_received_bytes: count(whole.tcp_received_bytes),
        tcp_opened: count(whole.tcp_opened),
        tcp_closed: count(whole.tcp_closed),
    }
}

/// What was added since `before`; buckets that `before` does not have count from zero.
#[must_use]
pub fn difference(now: &Totals, before: &Totals) -> Totals {
    let same_bounds = now.duration.bounds == before.duration.bounds;
    let bucket = |index: usize| if same_bounds { before.duration.counts.get(index).copied().unwrap_or(0) } else { 0 };
    let counts = now.duration.counts.iter().enumerate().map(|(index, count)| count.saturating_sub(bucket(index)));
    Totals {
        requests: now.requests.saturating_sub(before.requests),
        duration: Histogram {
            bounds: now.duration.bounds.clone(),
            counts: counts.collect(),
            sum: now.duration.sum - before.duration.sum,
        },
        request_bytes: now.request_bytes - before.request_bytes,
        response_bytes: now.response_bytes - before.response_bytes,
        request_messages: now.request_messages.saturating_sub(before.request_messages),
        response_messages: now.response_messages.saturating_sub(before.response_messages),
        tcp_sent_bytes: now.tcp_sent_bytes.saturating_sub(before.tcp_sent_bytes),
        tcp_received_bytes: now.tcp_received_bytes.saturating_sub(before.tcp_received_bytes),
        tcp_opened: now.tcp_opened.saturating_sub(before.tcp_opened),
        tcp_closed: now.tcp_closed.saturating_sub(before.tcp_closed),
    }
}

/// Nothing was counted.
#[must_use]
pub fn is_nothing(totals: &Totals) -> bool {
    *totals
        == Totals {
            duration: Histogram {
                bounds: totals.duration.bounds.clone(),
                counts: vec![0; totals.duration.counts.len()],
                sum: 0.0,
            },
            ..Totals::default()
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn requests(count: u64) -> Totals {
        Totals { requests: count, ..Totals::default() }
    }

    fn parts(count: u64, from_ms: Option<i64>, to_ms: i64) -> Vec<(i64, u64)> {
        spread(&requests(count), from_ms, to_ms).into_iter().map(|(step_s, part)| (step_s, part.requests)).collect()
    }

    #[test]
    fn each_step_gets_its_share() {
        assert_eq!(parts(30, Some(5_000), 20_000), [(0, 10), (10, 20)]);
        assert_eq!(parts(15, Some(5_000), 9_000), [(0, 15)]);
        assert_eq!(parts(1, Some(0), 15_000), [(0, 1)]);
        assert_eq!(parts(9, None, 25_000), [(20, 9)]);
        assert_eq!(parts(9, Some(99_000), 25_000), [(20, 9)]);
        assert_eq!(parts(0, Some(0), 15_000), []);
    }

    #[test]
    fn a_long_gap_has_sixty_parts() {
        let spread = parts(6_000, Some(0), 3_600_000);
        assert_eq!(spread.len(), 60);
        assert_eq!((spread[0], spread[59]), ((50, 100), (3590, 100)));
    }

    proptest! {
        #[test]
        fn parts_add_up(count in any::<u32>(), bytes in any::<u32>(), from in 0i64..10_000_000, length in 0i64..10_000_000) {
            let bounds: std::sync::Arc<[f64]> = std::sync::Arc::from([1.0]);
            let whole = Totals {
                requests: count.into(),
                duration: Histogram { bounds, counts: vec![count.into(), 7], sum: bytes.into() },
                request_bytes: bytes.into(),
                ..Totals::default()
            };
            let mut sum = Totals::default();
            for (step_s, part) in spread(&whole, Some(from), from + length) {
                prop_assert!(step_s * 1000 + STEP_MS >= from && step_s * 1000 <= from + length);
                sum.add(&part);
            }
            prop_assert_eq!(sum, whole);
        }
    }
}
