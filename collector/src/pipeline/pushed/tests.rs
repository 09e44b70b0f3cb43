//! What pushed counters add, over parts of scrapes, restarts, late samples and targets that are scraped as well.

use std::collections::{HashMap, HashSet};

use super::counters::Counters;
use super::target::{Age, Block, Target, Told};
use super::*;
use crate::store::sample::bytes::Damaged;
use crate::store::{Advanced, Totals};

const KEY: StateKey = [7; 16];

/// Remembers what a database would.
#[derive(Default)]
struct Known(HashMap<StateKey, Vec<u8>>);

impl Known {
    fn take(&mut self, target: Target) -> Advanced {
        let pushed = target.finish("push:a#1".into(), "test").unwrap();
        let asked: HashSet<StateKey> = pushed.keys.iter().copied().collect();
        let known = self.0.iter().filter(|(key, _)| asked.contains(*key)).map(|(key, state)| (*key, state.clone()));
        let advanced = pushed.advance.advance(&known.collect(), 0);
        self.0.extend(advanced.states.iter().cloned());
        advanced
    }

    /// What samples add to the edge.
    fn add(&mut self, told: &[Told]) -> Totals {
        sum(&self.take(target(told)))
    }
}

fn sum(advanced: &Advanced) -> Totals {
    advanced.added.iter().fold(Totals::default(), |mut sum, (_, _, totals)| {
        sum.add(totals);
        sum
    })
}

/// Of a process that was there before the store.
fn target(told: &[Told]) -> Target {
    let block = Block { labels: Arc::default(), told: told.to_vec() };
    Target { blocks: [(KEY, block)].into(), known_since_ms: 5_000_000, ..Target::default() }
}

fn told(part: Part, bound: f64, t_s: i64, value: u64) -> Told {
    Told { t_ms: 1_000_000 + t_s * 1000, part, bound, value: value as f64, since_ms: None }
}

fn requests(t_s: i64, value: u64) -> Told {
    told(Part::Requests, 0.0, t_s, value)
}

/// Cumulative counts up to 1, 10 and without bound.
fn buckets(t_s: i64, counts: [u64; 3]) -> Vec<Told> {
    let bounds = [1.0, 10.0, f64::INFINITY];
    bounds.into_iter().zip(counts).map(|(bound, count)| told(Part::Bucket, bound, t_s, count)).collect()
}

fn counts(advanced: &Advanced) -> Vec<(&str, u64)> {
    advanced.counts.0.iter().map(|((_, _, outcome), count)| (outcome.as_str(), *count)).collect()
}

#[test]
fn what_was_counted_before_is_left_out_and_resets_begin_anew() {
    let mut known = Known::default();
    assert_eq!(known.add(&[requests(0, 100)]).requests, 0);
    assert_eq!(known.add(&[requests(15, 107), requests(30, 110)]).requests, 10);
    assert_eq!(known.add(&[requests(45, 4)]).requests, 4);
    // It begins after the target was first looked at.
    let edge = Block { labels: Arc::default(), told: vec![requests(60, 5)] };
    let advanced = known.take(Target { blocks: [([8; 16], edge)].into(), ..target(&[]) });
    assert_eq!(sum(&advanced).requests, 5);
    // Laid onto the steps since then: from 45 to 60 s.
    let steps: Vec<(i64, u64)> = advanced.added.iter().map(|(step_s, _, totals)| (*step_s, totals.requests)).collect();
    assert_eq!(steps, [(1_040, 2), (1_050, 3)]);
}

#[test]
fn late_and_repeated_samples_add_nothing() {
    let mut known = Known::default();
    known.add(&[requests(0, 0), requests(30, 10)]);
    let advanced = known.take(target(&[requests(15, 4), requests(30, 10), requests(45, 12)]));
    assert_eq!(sum(&advanced).requests, 2);
    assert_eq!(counts(&advanced), [("refused:duplicate", 1), ("refused:late", 1), ("stored", 1)]);
}

#[test]
fn a_histogram_waits_for_all_of_its_buckets() {
    let mut known = Known::default();
    assert_eq!(known.add(&buckets(0, [1, 1, 1])), Totals::default());
    let next = buckets(15, [2, 5, 6]);
    assert_eq!(known.add(&next[1..]).duration.count(), 0);
    let whole = known.add(&next[..1]);
    assert_eq!((&*whole.duration.bounds, &*whole.duration.counts), (&[1.0, 10.0][..], &[1, 3, 1][..]));
    // One part is a scrape ahead of the other.
    let (two, three) = (buckets(30, [2, 6, 7]), buckets(45, [3, 8, 9]));
    assert_eq!(known.add(&[two[0], three[0]]).duration.count(), 0);
    let both = known.add(&[two[1], three[1], two[2], three[2]]);
    assert_eq!(both.duration.counts, [1, 2, 0]);
    // Some of them do not grow.
    known.add(&buckets(60, [3, 8, 9])[..2]);
    assert_eq!(known.add(&buckets(60, [3, 8, 10])[2..]).duration.counts, [0, 0, 1]);
}

#[test]
fn another_process_is_known_by_its_age() {
    let mut known = Known::default();
    let at = |t_s: i64, age: Age, value: u64| {
        let mut told = buckets(t_s, [value; 3]);
        told.push(requests(t_s, value));
        Target { ages: vec![(1_000_000 + t_s * 1000, age)], ..target(&told) }
    };
    assert_eq!(sum(&known.take(at(0, Age::Uptime(1000.0), 5))).requests, 0);
    // Envoy renews its age now and then.
    assert_eq!(sum(&known.take(at(15, Age::Uptime(1010.0), 7))).requests, 2);
    // It has counted more since its start than the one before.
    let all = sum(&known.take(at(30, Age::Uptime(9.0), 8)));
    assert_eq!((all.requests, all.duration.count()), (8, 8));
    let all = sum(&known.take(at(45, Age::Uptime(24.0), 9)));
    assert_eq!((all.requests, all.duration.count()), (1, 1));
    // A gap that is longer than it is old.
    assert_eq!(sum(&known.take(at(645, Age::Uptime(300.0), 10))).requests, 10);
    // The clock of whoever scraped is set forward by three minutes, and back.
    assert_eq!(sum(&known.take(at(840, Age::Uptime(315.0), 12))).requests, 2);
    assert_eq!(sum(&known.take(at(841, Age::Start(1_841_000.0), 12))).requests, 0);
    assert_eq!(sum(&known.take(at(850, Age::Start(1_849_000.0), 13))).requests, 13);
}

#[test]
fn a_young_process_counts_from_its_start() {
    let young = |age_s: f64| {
        let told = [requests(0, 6)];
        Known::default().take(Target { ages: vec![(1_000_000, Age::Uptime(age_s))], ..target(&told) })
    };
    assert_eq!(sum(&young(20.0)).requests, 6);
    assert_eq!(sum(&young(200.0)).requests, 0);
    let mut told = requests(0, 6);
    told.since_ms = Some(980_000);
    assert_eq!(Known::default().add(&[told]).requests, 6);
}

#[test]
fn what_is_scraped_is_not_counted_again() {
    let mut known = Known::default();
    let pushed = |t_s: i64, value: u64, is_scraped: bool, is_starting: bool| Target {
        is_scraped,
        is_starting,
        ..target(&[requests(t_s, value)])
    };
    known.take(pushed(0, 1, false, false));
    assert_eq!(counts(&known.take(pushed(15, 5, true, false))), [("refused:scraped", 1)]);
    // A collector that has just started does not know yet.
    assert_eq!(counts(&known.take(pushed(30, 7, false, true))), [("refused:scraped", 1)]);
    // It is not scraped any more: it goes on where it was seen last.
    assert_eq!(sum(&known.take(pushed(45, 9, false, false))).requests, 4);
}

#[test]
fn states_come_back_as_they_were() {
    let mut known = Known::default();
    let mut all = buckets(0, [1, 2, 300]);
    all.push(Told { value: 0.25, ..told(Part::DurationSum, 0.0, 0, 0) });
    all.push(told(Part::TcpClosed, 0.0, 0, 9_007_199_254_740_992));
    known.add(&all);
    known.add(&buckets(15, [2, 3, 400])[..2]);
    let bytes = known.0.get(&KEY).unwrap();
    let counters = Counters::read(bytes).unwrap();
    assert_eq!((&counters.write(), bytes.len()), (bytes, 43));
    assert_eq!(Counters::read(&[0, 0, 0x0f]), Err(Damaged("it has no such counter")));
    (0..bytes.len()).for_each(|end| drop(Counters::read(&bytes[..end])));
}
