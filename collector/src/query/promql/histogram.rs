//! Quantiles of classic histograms.

use std::collections::HashMap;

use super::series::{Grid, Series, absent, is_absent, keep, label};
use crate::store::sample::{Labels, NAME};

/// The label with a bucket's upper bound.
const BOUND: &str = "le";

struct Bucket {
    bound: f64,
    count: f64,
}

pub(super) fn quantile(q: &[f64], series: &[Series], grid: &Grid) -> Vec<Series> {
    let mut order: Vec<Labels> = Vec::new();
    let mut histograms: HashMap<Labels, Vec<(f64, &Series)>> = HashMap::new();
    for one in series {
        // Not a bucket, or one of nobody knows what.
        let Some(bound) = parse_bound(label(&one.labels, BOUND)) else { continue };
        let labels = keep(&one.labels, |name| name != BOUND && name != NAME);
        let buckets = histograms.entry(labels.clone()).or_default();
        if buckets.is_empty() {
            order.push(labels);
        }
        buckets.push((bound, one));
    }
    let mut found = Vec::with_capacity(order.len());
    for labels in order {
        let Some(mut buckets) = histograms.remove(&labels) else { continue };
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let values = (0..grid.steps).map(|step| at_step(q.get(step).copied().unwrap_or(f64::NAN), &buckets, step)).collect();
        found.push(Series { labels, values });
    }
    found
}

fn parse_bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        _ => text.parse().ok(),
    }
}

fn at_step(q: f64, buckets: &[(f64, &Series)], step: usize) -> f64 {
    let mut present: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for (bound, series) in buckets {
        let Some(count) = series.values.get(step).copied().filter(|count| !is_absent(*count)) else { continue };
        match present.last_mut() {
            // Two spellings of one bound.
            Some(last) if last.bound == *bound => last.count += count,
            _ => present.push(Bucket { bound: *bound, count }),
        }
    }
    if present.is_empty() { absent() } else { of_buckets(q, present) }
}

/// By linear interpolation inside of the bucket that holds the rank.
fn of_buckets(q: f64, mut buckets: Vec<Bucket>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if !buckets.last().is_some_and(|last| last.bound == f64::INFINITY) || buckets.len() < 2 {
        return f64::NAN;
    }
    // Scrapes and rates of the buckets differ by a little in time; a cumulative count does not sink.
    let mut most = f64::NEG_INFINITY;
    for bucket in &mut buckets {
        most = if bucket.count > most { bucket.count } else { most };
        if bucket.count < most {
            bucket.count = most;
        }
    }
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let reaches = |bucket: &Bucket| bucket.count >= rank;
    let place = buckets[..last].iter().position(reaches).unwrap_or(last);
    if place == last {
        return buckets[last - 1].bound;
    }
    if place == 0 && buckets[0].bound <= 0.0 {
        return buckets[0].bound;
    }
    let (mut start, end, mut count) = (0.0, buckets[place].bound, buckets[place].count);
    if let Some(before) = place.checked_sub(1).and_then(|before| buckets.get(before)) {
        start = before.bound;
        count -= before.count;
        rank -= before.count;
    }
    start + (end - start) * (rank / count)
}
