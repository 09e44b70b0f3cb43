//! Every rule by literal traces, mistakes of the file by their words, and the court over time and restarts.

use std::sync::Arc;

use super::court::{Court, Ruling};
use super::rules::Rules;
use super::{counted, parse};
use crate::store::{AttributeValue, FactsRow, Resource, Root, Span, SpanWatch, TraceFacts, TraceId, Verdict};

fn rules(text: &str) -> Rules {
    parse(text).unwrap()
}

fn span(service: &str, name: &str, duration_ms: i64) -> Span {
    let attributes = vec![("env".into(), AttributeValue::Text("prod".into()))];
    let resource = Arc::new(Resource { service: service.into(), attributes, ..Resource::default() });
    Span { resource, name: name.to_owned(), duration_ns: duration_ms * 1_000_000, ..Span::default() }
}

fn with(name: &str, value: AttributeValue, span: Span) -> Span {
    Span { attributes: vec![(name.into(), value)], ..span }
}

/// Facts of a trace of these spans, which all start at 0; the first one is its root.
fn facts(rules: &Rules, spans: &[Span], arrived_ms: i64) -> TraceFacts {
    let bits = spans.iter().fold(0, |bits, span| bits | rules.met(span));
    let mut met: Vec<u64> =
        rules.conditions().iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, name)| *name).collect();
    met.sort_unstable();
    TraceFacts {
        first_us: 0,
        last_us: 0,
        end_us: spans.iter().map(Span::duration_us).max().unwrap_or_default(),
        root: Root {
            is_parentless: true,
            start_us: 0,
            service: spans[0].service().clone(),
            operation: spans[0].name.as_str().into(),
        },
        met,
        arrived_ms,
        quiet_since_ms: arrived_ms,
        origin_id: 1,
    }
}

/// `+rule` or `-rule`, of one trace alone.
fn verdict(rules: &Rules, spans: &[Span]) -> String {
    shown(&rules.decide(&[7; 16], &facts(rules, spans, 0), 0, &mut counted::Counted::default()))
}

fn shown(verdict: &Verdict) -> String {
    format!("{}{}", if verdict.is_kept { '+' } else { '-' }, verdict.rule)
}

#[test]
fn errors_are_spans_that_failed_and_statuses() {
    let rules = rules("rules: [{name: errors, kind: error, http_status: [429, 5xx], grpc_status: [UNAVAILABLE, 4]}]");
    let failed = Span { is_error: true, ..span("b", "GET /", 1) };
    assert_eq!(verdict(&rules, &[span("a", "GET /", 1), failed]), "+errors");
    let http = |status: i64| with("http.response.status_code", AttributeValue::Int(status), span("a", "GET /", 1));
    let verdicts = [429, 500, 599, 499, 200].map(|status| verdict(&rules, &[http(status)]));
    assert_eq!(verdicts, ["+errors", "+errors", "+errors", "-default", "-default"]);
    let old = |status: &str| with("http.status_code", AttributeValue::Text(status.into()), span("a", "GET /", 1));
    assert_eq!(verdict(&rules, &[old("503")]), "+errors");
    let grpc = |name: &str, status: &str| with(name, AttributeValue::Text(status.into()), span("a", "x", 1));
    assert_eq!(verdict(&rules, &[grpc("rpc.grpc.status_code", "14")]), "+errors");
    assert_eq!(verdict(&rules, &[grpc("grpc.status_code", "4")]), "+errors");
    assert_eq!(verdict(&rules, &[grpc("grpc.status_code", "5")]), "-default");
}

#[test]
fn slow_is_the_trace_or_the_span_that_is_named() {
    let whole = rules("{default: keep, rules: [{name: slow, kind: slow, longer_than: 100ms}]}");
    assert_eq!(verdict(&whole, &[span("a", "GET /", 101)]), "+slow");
    assert_eq!(verdict(&whole, &[span("a", "GET /", 100)]), "+default");
    let named = rules("rules: [{name: slow, kind: slow, longer_than: 100ms, service: reviews, operation: 'GET /r*'}]");
    assert_eq!(verdict(&named, &[span("a", "GET /", 500), span("reviews", "GET /reviews", 101)]), "+slow");
    assert_eq!(verdict(&named, &[span("a", "GET /", 500), span("reviews", "GET /reviews", 99)]), "-default");
    assert_eq!(
        verdict(&named, &[span("reviews", "PUT /reviews", 500), span("b", "GET /reviews", 500)]),
        "-default",
        "of one span"
    );
}

#[test]
fn always_and_never_look_for_a_span() {
    let rules = rules(
        "default: keep\nrules:\n- {name: health, kind: never, operation: GET /healthz}\n\
         - {name: pay, kind: always, service: pay*}\n- {name: test, kind: never, attributes: {env: staging}}\n\
         - {name: tagged, kind: always, attributes: {vip: , env: pr*}}\n",
    );
    assert_eq!(verdict(&rules, &[span("payments", "GET /healthz", 1)]), "-health", "the first that holds decides");
    assert_eq!(verdict(&rules, &[span("a", "GET /", 1), span("payments", "POST /", 1)]), "+pay");
    let staging = with("env", AttributeValue::Text("staging".into()), span("a", "GET /", 1));
    assert_eq!(verdict(&rules, &[staging]), "-test");
    assert_eq!(verdict(&rules, &[with("vip", AttributeValue::Bool(true), span("a", "GET /", 1))]), "+tagged");
    assert_eq!(verdict(&rules, &[span("a", "GET /", 1)]), "+default");
}

#[test]
fn rare_keeps_the_first_of_an_hour_and_rate_some_of_a_second() {
    let rare = rules("rules: [{name: rare, kind: rare, fewer_than: 2}]");
    let mut counted = counted::Counted::default();
    let mut decide = |rules: &Rules, service: &str, name: &str, at_ms: i64| {
        shown(&rules.decide(&[7; 16], &facts(rules, &[span(service, name, 1)], at_ms), at_ms, &mut counted))
    };
    let verdicts = [1, 2, 3, 3_600_001].map(|at_ms| decide(&rare, "a", "GET /", at_ms));
    assert_eq!(verdicts, ["+rare", "+rare", "-default", "+rare"]);
    assert_eq!(decide(&rare, "a", "PUT /", 3_600_002), "+rare");
    let rate = rules("rules: [{name: rate, kind: rate, per_second: 2}]");
    let verdicts = [0, 1, 2, 600].map(|at_ms| decide(&rate, "a", "GET /", 10_000_000 + at_ms));
    assert_eq!(verdicts, ["+rate", "+rate", "-default", "+rate"]);
    assert_eq!(decide(&rate, "b", "GET /", 10_000_002), "+rate", "each service has its own");
}

#[test]
fn a_share_is_by_the_trace_id() {
    let share = rules("rules: [{name: share, kind: share, percent: 10}]");
    let kept = (0..10_000_u64).filter(|number| {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        share.decide(&id, &facts(&share, &[span("a", "x", 1)], 0), 0, &mut counted::Counted::default()).is_kept
    });
    let kept = kept.count();
    assert!((900..=1_100).contains(&kept), "{kept}");
}

#[test]
fn mistakes_have_lines_and_say_what_to_do() {
    let text = "decide_after: 5m\ndefault: maybe\nrules:\n- {kind: error}\n- {name: a, kind: slo}\n- {name: b, kind: slow}\n\
                - {name: b2, kind: share, percent: 101}\n- {name: c, kind: always}\n- {name: d, kind: error, http_status: [6xx]}\n\
                - {name: e, kind: rate, per_second: 1, colour: red}\n- {name: f, kind: rate, per_second: 1}\n\
                - {name: f, kind: rate, per_second: 1}\n- {name: default, kind: rare, fewer_than: 1}\n";
    let told: Vec<String> = parse(text).unwrap_err().into_iter().map(|(line, text)| format!("{line}: {text}")).collect();
    assert_eq!(
        told,
        [
            "2: `default: maybe` is not keep or drop",
            "4: a rule needs a `name`, by which its traces are counted",
            "5: `kind: slo` is not one of always, never, error, slow, rare, rate, share",
            "6: this kind of rule needs `longer_than`",
            "7: `percent: 101` is not from 0 to 100",
            "8: `kind: always` needs a `service`, an `operation` or `attributes`; for all traces say `default`",
            "9: `6xx` is not a status such as 503 or 5xx",
            "10: a rule has no key `colour`",
            "12: there are two rules with the name `f`",
            "13: `default` is what decides when no rule does; give the rule another name",
        ]
    );
    let (line, text) = parse("decide_after: 10s\ndecide_latest: 5s\nrules: []").unwrap_err().remove(0);
    assert_eq!((line, text.as_str()), (1, "`decide_latest` is at least `decide_after` (10s) and at most 1800s"));
    assert_eq!(parse("default: drop").unwrap_err()[0].1, "there are no `rules`; for none at all leave --tail-sampling away");
    assert!(parse("rules: [").is_err());
}

const RULES: &str = "decide_after: 10s\ndecide_latest: 60s\nrules: [{name: rate, kind: rate, per_second: 1}]";

/// A row of traces that arrived at one time.
fn row(facts_id: i64, arrived_ms: i64, traces: &[u8]) -> FactsRow {
    let of = |n: &u8| {
        let facts = facts(&rules(RULES), &[span("shop", "GET /", 1)], arrived_ms);
        let starts_us = arrived_ms * 1000;
        ([*n; 16], TraceFacts { first_us: starts_us, last_us: starts_us, end_us: starts_us + 1, origin_id: facts_id, ..facts })
    };
    FactsRow { facts_id, arrived_ms, is_carried: false, traces: traces.iter().map(of).collect() }
}

fn court(counted: &[u8], verdicts: &[(TraceId, Verdict)]) -> Court {
    Court::new(Arc::new(rules(RULES)), counted, verdicts)
}

fn judged(ruling: &Ruling) -> Vec<(u8, String)> {
    ruling.judged.iter().map(|judged| (judged.trace_id[0], shown(&judged.verdict))).collect()
}

fn carried(ruling: &Ruling) -> Vec<u8> {
    ruling.carried.iter().map(|(id, _)| id[0]).collect()
}

#[test]
fn a_trace_is_judged_when_it_has_been_quiet() {
    let mut court = court(&[], &[]);
    court.learn(vec![row(1, 1_000, &[1, 2]), row(2, 5_000, &[2, 3])]);
    assert_eq!(court.rule(10_999), None);
    let ruling = court.rule(11_000).unwrap();
    assert_eq!((judged(&ruling), &ruling.done[..], carried(&ruling)), (vec![(1, "+rate".to_owned())], &[1][..], vec![2]));
    assert_eq!(court.rule(11_000), Some(ruling), "nothing has changed yet");
    let ruling = court.rule(11_000).unwrap();
    court.pronounced(&ruling);
    assert!(!court.is_waiting(&[1; 16]) && court.is_waiting(&[2; 16]));
    // The row that carries on is read like any other.
    let back = FactsRow { facts_id: 3, arrived_ms: 11_000, is_carried: true, traces: ruling.carried };
    court.learn(vec![back]);
    assert_eq!(court.rule(14_999), None, "it would only be carried on again");
    let ruling = court.rule(15_000).unwrap();
    assert_eq!((judged(&ruling), &ruling.done[..]), (vec![(2, "+rate".to_owned()), (3, "-default".to_owned())], &[2, 3][..]));
    assert_eq!((ruling.judged[0].first_us, ruling.judged[0].last_us), (1_000_000, 5_000_000));
}

#[test]
fn a_trace_that_is_never_quiet_is_judged_in_the_end_and_late_spans_follow() {
    let mut court = court(&[], &[]);
    for second in 0..12 {
        court.learn(vec![row(second + 1, second * 5_000, &[1])]);
    }
    let ruling = court.rule(59_999).unwrap();
    assert_eq!((judged(&ruling).len(), carried(&ruling)), (0, vec![1]));
    let ruling = court.rule(60_000).unwrap();
    assert_eq!(judged(&ruling), [(1, "+rate".to_owned())]);
    court.pronounced(&ruling);
    // The rate would drop it now.
    court.learn(vec![row(20, 60_100, &[1, 2]), row(21, 60_100, &[1])]);
    let ruling = court.rule(70_100).unwrap();
    assert_eq!(judged(&ruling), [(1, "+rate".to_owned()), (2, "+rate".to_owned())]);
    assert_eq!((ruling.late, ruling.traces.values().sum::<u64>()), (1, 1));
}

#[test]
fn a_restart_in_the_middle_decides_the_same() {
    let rows = [row(1, 1_000, &[1, 2, 3]), row(2, 1_500, &[4]), row(3, 5_000, &[3, 5, 6])];
    let mut one = court(&[], &[]);
    one.learn(rows.to_vec());
    let first = one.rule(11_000).unwrap();
    one.pronounced(&first);
    let second = one.rule(15_000).unwrap();

    // What the database has after the first ruling.
    let sentence = court(&[], &[]).sentence(7, &first);
    let verdicts: Vec<_> = first.judged.iter().map(|judged| (judged.trace_id, judged.verdict.clone())).collect();
    let mut other = court(&sentence.state.unwrap(), &verdicts);
    let back = FactsRow { facts_id: 4, arrived_ms: 11_000, is_carried: true, traces: sentence.carried };
    other.learn(vec![rows[1].clone(), rows[2].clone(), back]);
    let again = other.rule(15_000).unwrap();
    assert_eq!((judged(&again), &again.counted), (judged(&second), &second.counted));
    other.learn(vec![row(5, 15_000, &[1])]);
    other.pronounced(&again);
    let late = other.rule(25_000).unwrap();
    assert_eq!((judged(&late), late.late), (vec![(1, "+rate".to_owned())], 1));
}

#[test]
fn too_many_are_judged_before_their_time() {
    let mut court = court(&[], &[]).with_room(2);
    court.learn(vec![row(1, 1_000, &[1, 2]), row(2, 2_000, &[3, 4])]);
    let ruling = court.rule(2_000).unwrap();
    assert_eq!((judged(&ruling).iter().map(|(id, _)| *id).collect::<Vec<_>>(), ruling.early), (vec![1, 2], 2));
    assert_eq!((&ruling.done[..], carried(&ruling)), (&[][..], vec![]), "the rows stay until they are due");
}
