//! The table of what Envoy's Zipkin tracer does with each incoming context.

use http::HeaderValue;

use super::*;

const WIDE: &str = "463ac35c9f6413ad48485a3953bb6124";
const NARROW: &str = "48485a3953bb6124";
const SPAN: &str = "a2fb4a1d1a96d312";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

/// Runs one proxy over the headers: its span if any, and what it forwards.
fn pass(pairs: &[(&'static str, &str)], local: bool, options: ContextOptions) -> (Option<TraceContext>, HeaderMap) {
    let mut map = headers(pairs);
    let context = extract(&map, options).begin(local, options);
    if let Some(context) = &context {
        context.inject(&mut map);
    }
    (context, map)
}

fn envoy(pairs: &[(&'static str, &str)], local: bool) -> (TraceContext, HeaderMap) {
    let (context, map) = pass(pairs, local, ContextOptions::default());
    (context.unwrap(), map)
}

fn text<'a>(map: &'a HeaderMap, name: &str) -> Option<&'a str> {
    map.get(name).map(|v| v.to_str().unwrap())
}

#[test]
fn nothing_starts_a_root_whose_low_half_is_the_span_id() {
    let (context, map) = envoy(&[], true);
    let trace = text(&map, "x-b3-traceid").unwrap();
    assert_eq!(trace.len(), 32);
    assert_eq!(&trace[16..], text(&map, "x-b3-spanid").unwrap());
    assert_eq!(text(&map, "x-b3-sampled"), Some("1"));
    assert_eq!(text(&map, "x-b3-parentspanid"), None);
    assert_eq!(context.parent_id, None);
}

#[test]
fn narrow_roots_have_the_span_id_as_trace_id() {
    let options = ContextOptions { wide_ids: false, w3c: false };
    let (context, map) = pass(&[], false, options);
    assert_eq!(text(&map, "x-b3-traceid"), text(&map, "x-b3-spanid"));
    assert_eq!(text(&map, "x-b3-sampled"), Some("0"));
    assert!(!context.unwrap().sampled);
}

#[test]
fn multi_headers_make_a_child() {
    for trace in [WIDE, NARROW] {
        let sent = [("x-b3-traceid", trace), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")];
        let (context, map) = envoy(&sent, false);
        assert_eq!(text(&map, "x-b3-traceid"), Some(trace));
        assert_eq!(text(&map, "x-b3-parentspanid"), Some(SPAN));
        assert_eq!(text(&map, "x-b3-spanid").unwrap(), format!("{:016x}", context.span_id));
        assert_ne!(text(&map, "x-b3-spanid"), Some(SPAN));
        assert!(context.sampled);
    }
}

#[test]
fn ids_without_a_decision_are_sampled_locally() {
    let sent = [("x-b3-traceid", WIDE), ("x-b3-spanid", SPAN)];
    assert!(envoy(&sent, true).0.sampled);
    let (context, map) = envoy(&sent, false);
    assert!(!context.sampled);
    assert_eq!(text(&map, "x-b3-sampled"), Some("0"));
}

#[test]
fn a_denied_trace_continues_unreported() {
    let sent = [("x-b3-traceid", WIDE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "0")];
    let (context, map) = envoy(&sent, true);
    assert!(!context.sampled);
    assert_eq!(text(&map, "x-b3-parentspanid"), Some(SPAN));
    assert_eq!(text(&map, "x-b3-sampled"), Some("0"));
}

#[test]
fn a_decision_without_ids_rules_the_new_root() {
    for accept in ["1", "true"] {
        let (context, map) = envoy(&[("x-b3-sampled", accept)], false);
        assert!(context.sampled);
        assert_eq!(context.parent_id, None);
        assert_eq!(text(&map, "x-b3-sampled"), Some("1"));
    }
    assert!(!envoy(&[("x-b3-sampled", "0")], true).0.sampled);
}

#[test]
fn debug_flags_pass_and_force_nothing() {
    let (context, map) = envoy(&[("x-b3-flags", "1")], false);
    assert!(!context.sampled);
    assert_eq!(text(&map, "x-b3-flags"), Some("1"));
}

#[test]
fn the_single_header_continues_as_one() {
    for state in ["1", "d"] {
        let (context, map) = envoy(&[("b3", &format!("{WIDE}-{SPAN}-{state}"))], false);
        let forwarded = format!("{WIDE}-{:016x}-1-{SPAN}", context.span_id);
        assert_eq!(text(&map, "b3").unwrap(), forwarded);
        assert_eq!(text(&map, "x-b3-traceid"), None);
    }
}

#[test]
fn every_legal_length_of_the_single_header_is_read() {
    let parent = "05e3ac9a4f6e3b90";
    for trace in [WIDE, NARROW] {
        for tail in [String::new(), "-1".to_owned(), format!("-1-{parent}")] {
            let (context, _) = envoy(&[("b3", &format!("{trace}-{SPAN}{tail}"))], true);
            assert_eq!(context.trace_id.to_string(), trace);
            assert_eq!(format!("{:016x}", context.parent_id.unwrap()), SPAN);
        }
    }
}

#[test]
fn the_single_state_alone_decides_a_new_root() {
    let (context, map) = envoy(&[("b3", "0")], true);
    assert!(!context.sampled);
    let forwarded = format!("{}-{:016x}-0", context.trace_id, context.span_id);
    assert_eq!(text(&map, "b3").unwrap(), forwarded);
    for accept in ["1", "d"] {
        let (context, map) = envoy(&[("b3", accept)], false);
        assert!(context.sampled);
        assert!(text(&map, "b3").unwrap().ends_with("-1"));
    }
}

#[test]
fn the_single_header_wins() {
    let sent = [("b3", "0"), ("x-b3-traceid", WIDE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")];
    assert!(!envoy(&sent, true).0.sampled);
}

#[test]
fn undecodable_ids_pass_unchanged_and_make_no_span() {
    let long = "1".repeat(20);
    let broken: [&[(&'static str, &str)]; 6] = [
        &[("x-b3-traceid", "zzzz"), ("x-b3-spanid", SPAN)],
        &[("x-b3-traceid", WIDE), ("x-b3-spanid", "q")],
        &[("x-b3-traceid", &long), ("x-b3-spanid", SPAN)],
        &[("x-b3-traceid", WIDE), ("x-b3-spanid", SPAN), ("x-b3-parentspanid", "?")],
        &[("b3", "nonsense")],
        &[("b3", "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-x")],
    ];
    for sent in broken {
        let (context, map) = pass(sent, true, ContextOptions::default());
        assert_eq!(context, None, "{sent:?}");
        assert_eq!(map, headers(sent));
    }
}

#[test]
fn traceparent_alone_is_ignored_and_forwarded() {
    let parent = format!("00-{WIDE}-{SPAN}-01");
    let (context, map) = envoy(&[("traceparent", &parent)], false);
    assert_ne!(context.trace_id.to_string(), WIDE);
    assert_eq!(text(&map, "traceparent"), Some(parent.as_str()));
}

#[test]
fn traceparent_is_a_parent_when_the_option_is_on() {
    let options = ContextOptions { wide_ids: true, w3c: true };
    let parent = format!("00-{WIDE}-{SPAN}-01");
    let sent = [("traceparent", parent.as_str()), ("tracestate", "a=b")];
    let (context, map) = pass(&sent, false, options);
    let context = context.unwrap();
    assert_eq!(text(&map, "x-b3-traceid"), Some(WIDE));
    assert_eq!(text(&map, "x-b3-parentspanid"), Some(SPAN));
    let forwarded = format!("00-{WIDE}-{:016x}-01", context.span_id);
    assert_eq!(text(&map, "traceparent").unwrap(), forwarded);
    assert_eq!(text(&map, "tracestate"), Some("a=b"));
}

proptest::proptest! {
    #[test]
    fn no_header_makes_extract_panic(b3 in "\\PC{0,70}", trace in "\\PC{0,40}", parent in "\\PC{0,60}") {
        let mut map = HeaderMap::new();
        for (name, value) in [("b3", &b3), ("x-b3-traceid", &trace), ("x-b3-spanid", &trace), ("traceparent", &parent)] {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                map.insert(name, value);
            }
        }
        let options = ContextOptions { wide_ids: true, w3c: true };
        let _ = extract(&map, options).begin(true, options);
        map.remove("b3");
        let _ = extract(&map, options).begin(true, options);
    }
}
