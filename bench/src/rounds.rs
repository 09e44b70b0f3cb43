//! Alternates the candidates and prints medians and ratios.

use std::time::{Duration, Instant};

use crate::cpu;

/// A candidate does its work `n` times.
pub struct Candidate<'a> {
    pub name: &'a str,
    pub work: &'a mut dyn FnMut(u64),
}

const ROUNDS: usize = 7;

/// Runs the candidates in turn, `n` times each per round; the first is the one that the others are compared with.
pub fn compare(candidates: &mut [Candidate<'_>], n: u64) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); candidates.len()];
    for round in 0..=ROUNDS {
        for (candidate, times) in candidates.iter_mut().zip(&mut times) {
            let took = measure(|| (candidate.work)(n));
            // The first round warms caches and is not counted.
            if round > 0 {
                times.push(took);
            }
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|times| median_ns(times) / n as f64).collect();
    for (candidate, median) in candidates.iter().zip(&medians) {
        println!("  {:<44} {median:>10.1} ns   {:>6.2}", candidate.name, median / medians[0]);
    }
}

fn measure(work: impl FnOnce()) -> Duration {
    let origin = Instant::now();
    let before = cpu::thread_time(origin);
    work();
    cpu::thread_time(origin) - before
}

fn median_ns(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_nanos() as f64
}
