//! Counters add up over whatever happens to a proxy.

use proptest::prelude::*;

use super::super::observation::Room;
use super::*;

const MS: i64 = 1_795_413_600_000;

fn seen(uptime_s: Option<f64>, counters: &[(&str, u64)]) -> Observation {
    let mut text = uptime_s.map_or_else(String::new, |uptime| format!("envoy_server_uptime{{}} {uptime}\n"));
    for (app, count) in counters {
        text.push_str(&format!("istio_requests_total{{source_app=\"{app}\"}} {count}\n"));
    }
    Observation::read(&text, Room { is_known: &|_| false, new_edges: usize::MAX })
}

/// A moment at which both clocks agree.
fn at(wall_ms: i64) -> Moment {
    Moment { wall_ms, steady_ms: wall_ms - MS + 1_000 }
}

/// A target that is scraped, with all that was added so far.
#[derive(Default)]
struct Watched {
    state: Option<TargetState>,
    added: u64,
    knowledge: Knowledge,
    /// By how much the collector's clock has been set.
    clock_set_s: i64,
}

impl Watched {
    fn scrape(&mut self, at_s: i64, uptime_s: Option<f64>, counters: &[(&str, u64)]) -> Basis {
        let mut moment = at(MS + at_s * 1000);
        moment.wall_ms += self.clock_set_s * 1000;
        let comparison = compare(self.state.as_ref(), seen(uptime_s, counters), moment, self.knowledge);
        self.added += comparison.batch.added.iter().map(|(_, _, totals)| totals.requests).sum::<u64>();
        self.state = Some(comparison.next);
        comparison.basis
    }
}

#[test]
fn a_young_process_counts_from_zero() {
    let mut young = Watched { knowledge: Knowledge { known_since_ms: MS, ..Knowledge::default() }, ..Watched::default() };
    assert_eq!(young.scrape(5, Some(90.0), &[("a", 7)]), Basis::Zero { since_ms: Some(MS - 85_000) });
    assert_eq!(young.scrape(20, Some(105.0), &[("a", 9), ("b", 3)]), Basis::Last);
    assert_eq!(young.added, 12);
}

#[test]
fn an_old_process_is_a_baseline() {
    let mut old = Watched { knowledge: Knowledge { known_since_ms: MS, ..Knowledge::default() }, ..Watched::default() };
    assert_eq!(old.scrape(5, Some(91.0), &[("a", 7)]), Basis::Baseline);
    old.scrape(20, Some(106.0), &[("a", 9), ("b", 3)]);
    assert_eq!(old.added, 5);
}

#[test]
fn a_process_that_started_while_no_collector_ran_counts_from_zero() {
    let created = MS - 86_400_000;
    let mut late = Watched { knowledge: Knowledge { known_since_ms: created, ..Knowledge::default() }, ..Watched::default() };
    assert_eq!(late.scrape(0, Some(3600.0), &[("a", 60)]), Basis::Zero { since_ms: Some(MS - 3_600_000) });
    assert_eq!(late.added, 60);
}

#[test]
fn without_an_age_the_registration_decides() {
    let knowledge = Knowledge { collector_started_at_ms: MS, ..Knowledge::default() };
    let mut configured = Watched { knowledge, ..Watched::default() };
    assert_eq!(configured.scrape(5, None, &[("a", 7)]), Basis::Baseline);
    let knowledge = Knowledge { registered_at_ms: Some(MS + 1), ..knowledge };
    let mut registered = Watched { knowledge, ..Watched::default() };
    assert_eq!(registered.scrape(5, None, &[("a", 7)]), Basis::Zero { since_ms: Some(MS + 1) });
}

#[test]
fn a_restart_is_seen_by_the_age_even_when_no_counter_went_back() {
    let mut watched = Watched::default();
    watched.scrape(0, Some(60.0), &[("a", 7)]);
    assert_eq!(watched.scrape(15, Some(12.0), &[("a", 8)]), Basis::Zero { since_ms: Some(MS + 3_000) });
    assert_eq!(watched.added, 15);
    // The uptime grew, but by less than the time that passed.
    assert_eq!(watched.scrape(615, Some(500.0), &[("a", 8)]), Basis::Zero { since_ms: Some(MS + 115_000) });
    assert_eq!(watched.added, 23);
}

#[test]
fn a_clock_that_is_set_is_no_restart() {
    for set_s in [-86_400, -3_600, -9, 9, 60, 3_600, 2_000_000_000] {
        // The collector's clock alone.
        let mut watched = Watched::default();
        watched.scrape(0, Some(600.0), &[("a", 7)]);
        watched.clock_set_s = set_s;
        assert_eq!(watched.scrape(15, Some(615.0), &[("a", 9)]), Basis::Last, "set by {set_s} s");
        assert_eq!(watched.scrape(30, Some(630.0), &[("a", 10)]), Basis::Last, "set by {set_s} s");
        // The clock that both share: Envoy's age steps with it.
        let age_s = (100_000 + 15 + set_s) as f64;
        let mut shared = Watched::default();
        shared.scrape(0, Some(100_000.0), &[("a", 7)]);
        shared.clock_set_s = set_s;
        assert_eq!(shared.scrape(15, Some(age_s), &[("a", 9)]), Basis::Last, "set by {set_s} s");
        assert_eq!((watched.added, shared.added), (10, 9));
    }
}

#[test]
fn a_restart_is_seen_although_a_clock_was_set() {
    for set_s in [-86_400, 3_600] {
        let mut watched = Watched::default();
        watched.scrape(0, Some(600.0), &[("a", 7)]);
        watched.clock_set_s = set_s;
        assert!(matches!(watched.scrape(15, Some(12.0), &[("a", 8)]), Basis::Zero { .. }), "set by {set_s} s");
        assert_eq!(watched.added, 7 + 8);
    }
    // The machine of the collector slept for an hour; another one's Envoy restarted meanwhile.
    let mut slept = Watched { clock_set_s: 0, ..Watched::default() };
    slept.scrape(0, Some(600.0), &[("a", 7)]);
    slept.clock_set_s = 3_600;
    assert!(matches!(slept.scrape(15, Some(1_800.0), &[("a", 8)]), Basis::Zero { .. }));
}

#[test]
fn a_stale_uptime_is_no_restart() {
    let mut watched = Watched::default();
    watched.scrape(4, Some(4.0), &[("a", 7)]);
    assert_eq!(watched.scrape(9, Some(4.0), &[("a", 8)]), Basis::Last);
    assert_eq!(watched.added, 8);
}

#[test]
fn without_an_age_one_counter_that_went_back_tells_of_all() {
    let knowledge = Knowledge { registered_at_ms: Some(MS), ..Knowledge::default() };
    let mut watched = Watched { knowledge, ..Watched::default() };
    watched.scrape(1, None, &[("a", 7), ("b", 1)]);
    watched.scrape(16, None, &[("a", 2), ("b", 5)]);
    assert_eq!(watched.added, 15);
}

#[test]
fn an_answer_without_the_proxys_part_is_told_from_one_without_traffic() {
    let state = |uptime_s, counters: &[(&str, u64)]| compare(None, seen(uptime_s, counters), at(MS), Knowledge::default()).next;
    let aged = state(Some(5.0), &[("a", 7)]);
    assert!(lacks_the_proxy(Some(&aged), &seen(None, &[])));
    assert!(lacks_the_proxy(Some(&aged), &seen(None, &[("a", 8)])));
    assert!(!lacks_the_proxy(Some(&aged), &seen(Some(6.0), &[])), "a proxy without traffic");
    let ageless = state(None, &[("a", 7)]);
    assert!(lacks_the_proxy(Some(&ageless), &seen(None, &[])));
    assert!(!lacks_the_proxy(Some(&ageless), &seen(None, &[("a", 8)])));
    assert!(!lacks_the_proxy(None, &seen(None, &[])), "never seen before");
}

#[test]
fn a_series_that_was_forgotten_begins_anew() {
    let mut watched = Watched::default();
    watched.scrape(0, Some(0.0), &[("a", 7), ("b", 1)]);
    watched.scrape(15, Some(15.0), &[("b", 2)]);
    watched.scrape(30, Some(30.0), &[("a", 9), ("b", 1)]);
    assert_eq!(watched.added, 7 + 1 + 1 + 9 + 1);
}

#[test]
fn a_histogram_that_comes_after_its_counter_is_the_same_edge() {
    let bucket = "istio_request_duration_milliseconds_bucket{source_app=\"a\",le=";
    let text =
        format!("envoy_server_uptime 6\nistio_requests_total{{source_app=\"a\"}} 2\n{bucket}\"1\"}} 1\n{bucket}\"+Inf\"}} 2\n");
    let first = compare(None, seen(Some(1.0), &[("a", 2)]), at(MS), Knowledge::default());
    let room = Room { is_known: &|_| true, new_edges: 0 };
    let second = compare(Some(&first.next), Observation::read(&text, room), at(MS + 5_000), Knowledge::default());
    let added: Vec<_> = second.batch.added.iter().map(|(_, _, added)| (added.requests, added.duration.count())).collect();
    assert_eq!(added, [(0, 2)]);
    assert_eq!((second.batch.gone.len(), second.batch.counters.len()), (1, 1));
}

#[test]
fn nothing_new_writes_no_rows() {
    let first = compare(None, seen(Some(1.0), &[("a", 2)]), at(MS), Knowledge::default());
    let second = compare(Some(&first.next), seen(Some(6.0), &[("a", 2)]), at(MS + 5_000), Knowledge::default());
    assert!(second.batch.added.is_empty() && second.batch.counters.is_empty() && second.batch.gone.is_empty());
}

#[derive(Clone, Debug)]
enum Event {
    Requests(u8, u16),
    Scrape,
    Restart,
    CollectorRestart,
    Wait(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0u8..4, any::<u16>()).prop_map(|(app, count)| Event::Requests(app, count)),
        4 => Just(Event::Scrape),
        1 => Just(Event::Restart),
        1 => Just(Event::CollectorRestart),
        2 => (1u16..600).prop_map(Event::Wait),
    ]
}

proptest! {
    /// Requests that a process counted and took with it before anybody looked are lost; all others are stored once.
    #[test]
    fn what_was_added_is_what_was_counted(events in prop::collection::vec(event(), 0..60)) {
        let mut watched = Watched::default();
        let mut counters = [0u64; 4];
        let mut scraped = [0u64; 4];
        let (mut now_s, mut started_s, mut expected) = (0i64, 0i64, 0u64);
        for event in events {
            match event {
                Event::Requests(app, count) => counters[usize::from(app)] += u64::from(count),
                Event::Scrape => {
                    now_s += 1;
                    expected += counters.iter().zip(scraped).map(|(now, before)| now - before).sum::<u64>();
                    scraped = counters;
                    let names = ["a", "b", "c", "d"];
                    let shown: Vec<_> = names.into_iter().zip(counters).filter(|(_, count)| *count > 0).collect();
                    watched.scrape(now_s, Some((now_s - started_s) as f64), &shown);
                }
                Event::Restart => {
                    // A process lives longer than the slack of its uptime.
                    now_s += 11;
                    started_s = now_s;
                    counters = [0; 4];
                    scraped = [0; 4];
                }
                // What is stored is all that a collector knows.
                Event::CollectorRestart => watched.state = watched.state.take().map(|state| TargetState::from(stored(state))),
                Event::Wait(seconds) => now_s += i64::from(seconds),
            }
        }
        prop_assert_eq!(watched.added, expected);
    }
}

fn stored(state: TargetState) -> StoredTarget {
    StoredTarget {
        version: state.version,
        scraped_at_ms: state.scraped_at_ms,
        uptime_s: state.uptime_s,
        started_at_s: state.started_at_s,
        counters: state.series.into_values().collect(),
    }
}
