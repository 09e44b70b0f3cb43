//! Lines and areas over time, as SVG paths.

use std::fmt::Write;

use sidelight_api::timeline::{Change, Point};

use super::format;

/// Where a chart's values go on the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub from_ms: i64,
    pub to_ms: i64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Scale {
    pub fn x(&self, at_ms: i64) -> f64 {
        let span = (self.to_ms - self.from_ms).max(1) as f64;
        ((at_ms - self.from_ms) as f64 / span * self.width).clamp(0.0, self.width)
    }

    pub fn y(&self, value: f64) -> f64 {
        self.height - (value / self.top.max(f64::MIN_POSITIVE) * self.height).clamp(0.0, self.height)
    }

    pub fn time_at(&self, x: f64) -> i64 {
        let part = (x / self.width.max(1.0)).clamp(0.0, 1.0);
        self.from_ms + ((self.to_ms - self.from_ms) as f64 * part) as i64
    }

    /// `M…L…`; empty without points.
    pub fn line(&self, points: impl Iterator<Item = (i64, f64)>) -> String {
        let mut path = String::new();
        for (i, (at, value)) in points.enumerate() {
            let _ = write!(path, "{}{:.1} {:.1}", if i == 0 { 'M' } else { 'L' }, self.x(at), self.y(value));
        }
        path
    }

    /// The same, closed down to the axis.
    pub fn area(&self, points: impl Iterator<Item = (i64, f64)> + Clone) -> String {
        let mut ends = points.clone().map(|(at, _)| self.x(at));
        let Some(first) = ends.next() else { return String::new() };
        let last = ends.last().unwrap_or(first);
        format!("{}L{last:.1} {:.1}L{first:.1} {:.1}Z", self.line(points), self.height, self.height)
    }
}

/// A round number at or above the value, of 1, 2, 2.5 or 5 times a power of ten.
pub fn nice_top(value: f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= value * 0.999).unwrap_or(10.0 * power)
}

/// Failing requests, percent.
pub fn error_percent(point: &Point) -> f64 {
    if point.rate > 0.0 { (point.errors / point.rate * 100.0).min(100.0) } else { 0.0 }
}

/// Times and labels of an axis: whole steps of the clock, with seconds where minutes would repeat.
pub fn time_ticks(from_ms: i64, to_ms: i64, offset_minutes: i64, wanted: usize) -> Vec<(i64, String)> {
    const STEPS_S: [i64; 12] = [10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400];
    let span_s = ((to_ms - from_ms) / 1000).max(1);
    let step = STEPS_S.into_iter().find(|step| span_s / step <= wanted as i64).unwrap_or(86_400 * 2) * 1000;
    // On the reader's clock, so that a day's steps begin at midnight.
    let shift = offset_minutes * 60_000;
    let first = (from_ms + shift).div_euclid(step) * step - shift;
    let text = if step < 60_000 { format::time_of_day } else { format::hour_minute };
    let times = (0..).map(|i| first + i * step).skip_while(|t| *t < from_ms).take_while(|t| *t <= to_ms);
    times.map(|t| (t, text(t, offset_minutes))).collect()
}

/// Changes that stand too near to each other on the line, together.
pub fn bundles(changes: Vec<Change>, scale: &Scale, space: f64) -> Vec<Vec<Change>> {
    let mut bundles: Vec<Vec<Change>> = Vec::new();
    for change in changes {
        match bundles
            .last_mut()
            .filter(|last| last.first().is_some_and(|first| scale.x(change.t_ms) - scale.x(first.t_ms) < space))
        {
            Some(last) => last.push(change),
            None => bundles.push(vec![change]),
        }
    }
    bundles
}

/// When the last unbroken run of failing began; `None` when the newest point is fine, or when all points fail.
pub fn failing_since(points: &[Point], percent_min: f64) -> Option<i64> {
    let bad = |point: &Point| point.rate > 0.0 && error_percent(point) >= percent_min;
    // The newest step may still be filling up.
    let known: Vec<&Point> = points.iter().filter(|point| point.rate > 0.0).collect();
    let run = known.iter().rev().take_while(|point| bad(point)).count();
    (run > 0 && run < known.len()).then(|| known[known.len() - run].t_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(t_ms: i64, rate: f64, errors: f64) -> Point {
        Point { t_ms, rate, errors, p95: None }
    }

    #[test]
    fn paths_run_from_left_to_right() {
        let scale = Scale { from_ms: 0, to_ms: 100, top: 10.0, width: 200.0, height: 40.0 };
        let points = [(0, 0.0), (50, 5.0), (100, 20.0)];
        assert_eq!(scale.line(points.into_iter()), "M0.0 40.0L100.0 20.0L200.0 0.0");
        assert_eq!(scale.area(points.into_iter()), "M0.0 40.0L100.0 20.0L200.0 0.0L200.0 40.0L0.0 40.0Z");
        assert_eq!(scale.time_at(100.0), 50);
    }

    #[test]
    fn tops_are_round() {
        let tops: Vec<f64> = [0.0, 0.7, 7.4, 12.0, 21.0, 100.0].into_iter().map(nice_top).collect();
        assert_eq!(tops, [1.0, 1.0, 10.0, 20.0, 25.0, 100.0]);
    }

    #[test]
    fn ticks_are_whole_minutes() {
        let from = 1_700_000_000_000;
        let ticks = time_ticks(from, from + 600_000, 0, 6);
        let labels: Vec<&str> = ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["22:14", "22:16", "22:18", "22:20", "22:22"]);
        assert_eq!(time_ticks(from, from + 60_000, 0, 2)[0].1, "22:13:30");
    }

    #[test]
    fn changes_at_one_moment_share_a_flag() {
        let change = |t_ms| Change {
            t_ms,
            kind: "VirtualService".into(),
            namespace: "bookinfo".into(),
            name: "reviews".into(),
            revision: 1,
            action: sidelight_api::config::Action::Created,
            author: "demo".into(),
            message: String::new(),
        };
        let scale = Scale { from_ms: 0, to_ms: 1000, top: 1.0, width: 1000.0, height: 10.0 };
        let sizes: Vec<usize> = bundles([0, 5, 11, 12, 400].map(change).to_vec(), &scale, 12.0).iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 1, 1]);
    }

    #[test]
    fn finds_when_the_failing_began() {
        let points = [
            point(0, 10.0, 0.0),
            point(10, 10.0, 3.0),
            point(20, 10.0, 0.0),
            point(30, 10.0, 2.0),
            point(40, 10.0, 2.5),
            point(50, 0.0, 0.0),
        ];
        assert_eq!(failing_since(&points, 10.0), Some(30));
        assert_eq!(failing_since(&points[..3], 10.0), None);
        assert_eq!(failing_since(&points[3..], 10.0), None, "began before what is known");
    }
}
