//! Generated series: counters with resets, gauges with everything a float can be, histograms, gaps and ends.

use std::sync::Arc;

use sidelight_collector::store::sample::{Labels, Sample, SeriesSamples, stale};

/// The first sample, where nothing depends on the present.
pub const START_MS: i64 = 1_790_000_000_000;
/// Samples of a series without gaps, one each 15 s.
pub const COUNT: i64 = 160;
pub const INTERVAL_MS: i64 = 15_000;

/// A generator of numbers that are the same in each run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// The same values in each run, from `start_ms` on.
pub fn generate(start_ms: i64) -> Vec<SeriesSamples> {
    let mut random = Random::new(7);
    let mut all = Vec::new();
    for job in ["api", "db", "web"] {
        for instance in ["a:1", "b:1"] {
            for code in ["200", "404", "503"] {
                let labels = [("__name__", "requests_total"), ("code", code), ("instance", instance), ("job", job)];
                all.push(series(start_ms, &labels, counter(&mut random), &mut random));
            }
            let labels = [("__name__", "temperature"), ("instance", instance), ("job", job)];
            all.push(series(start_ms, &labels, gauge(&mut random), &mut random));
        }
        all.push(series(start_ms, &[("__name__", "limit"), ("job", job)], vec![7.5; COUNT as usize], &mut random));
        all.extend(histogram(start_ms, job, &mut random));
    }
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e300, -1e300, 5e-324];
    let values = (0..COUNT as usize).map(|place| odd[place / 4 % odd.len()]).collect();
    all.push(series(start_ms, &[("__name__", "odd"), ("job", "api")], values, &mut random));
    all
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let mut all: Vec<(Arc<str>, Arc<str>)> = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    all.sort();
    all.into()
}

/// Puts values on times: jittered, with gaps, and with marks of an end before a gap.
fn series(start_ms: i64, pairs: &[(&str, &str)], values: Vec<f64>, random: &mut Random) -> SeriesSamples {
    let jitter_ms = random.below(5_000) as i64;
    let mut samples = Vec::new();
    let mut gap = 0;
    for (place, value) in values.into_iter().enumerate() {
        let t_ms =
            start_ms + place as i64 * INTERVAL_MS + jitter_ms + if random.one_in(9) { random.below(400) as i64 } else { 0 };
        if gap > 0 {
            gap -= 1;
            continue;
        }
        if random.one_in(40) {
            gap = 1 + random.below(30);
            if random.one_in(2) {
                samples.push(Sample { t_ms, value: stale() });
            }
            continue;
        }
        samples.push(Sample { t_ms, value });
    }
    SeriesSamples { labels: labels(pairs), samples }
}

fn counter(random: &mut Random) -> Vec<f64> {
    let (mut value, step) = (random.below(1_000) as f64, 1 + random.below(40));
    (0..COUNT)
        .map(|_| {
            value = if random.one_in(35) { random.below(5) as f64 } else { value + random.below(step) as f64 };
            value
        })
        .collect()
}

fn gauge(random: &mut Random) -> Vec<f64> {
    let mut value = 20.0;
    (0..COUNT)
        .map(|_| {
            value += (random.below(2_001) as f64 - 1_000.0) / 137.0;
            value
        })
        .collect()
}

fn histogram(start_ms: i64, job: &str, random: &mut Random) -> Vec<SeriesSamples> {
    let bounds = ["0.5", "1", "5", "10", "25", "+Inf"];
    let mut counts = vec![Vec::new(); bounds.len()];
    let (mut totals, mut sum, mut sums) = ([0.0; 6], 0.0, Vec::new());
    for _ in 0..COUNT {
        if random.one_in(50) {
            (totals, sum) = ([0.0; 6], 0.0);
        }
        let mut added = 0.0;
        for total in &mut totals {
            added += random.below(9) as f64;
            *total += added;
        }
        sum += added * 3.25;
        sums.push(sum);
        for (column, total) in counts.iter_mut().zip(totals) {
            column.push(total);
        }
    }
    // All of one histogram share their times and gaps.
    let place = random.next();
    let mut all: Vec<SeriesSamples> = bounds
        .iter()
        .zip(&counts)
        .map(|(le, counts)| {
            let pairs = [("__name__", "latency_bucket"), ("job", job), ("le", le)];
            series(start_ms, &pairs, counts.clone(), &mut Random::new(place))
        })
        .collect();
    let count = counts.last().cloned().unwrap_or_default();
    all.push(series(start_ms, &[("__name__", "latency_count"), ("job", job)], count, &mut Random::new(place)));
    all.push(series(start_ms, &[("__name__", "latency_sum"), ("job", job)], sums, &mut Random::new(place)));
    all
}
