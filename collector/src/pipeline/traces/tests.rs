//! Literal traces, and any trace at all.

use std::sync::Arc;

use proptest::prelude::*;
use sidelight_api::trace::TraceOddity;

use super::*;
use crate::store::{AttributeValue, Resource, SpanKind};

/// Microseconds everywhere.
fn span(id: u8, parent: Option<u8>, service: &str, start_us: i64, duration_us: i64) -> Span {
    Span {
        id: [id; 8],
        parent_id: parent.map(|parent| [parent; 8]),
        resource: Arc::new(Resource { service: service.into(), ..Resource::default() }),
        start_ns: start_us.saturating_mul(1000),
        duration_ns: duration_us.saturating_mul(1000),
        ..Span::default()
    }
}

fn of_kind(kind: SpanKind, span: Span) -> Span {
    Span { kind, ..span }
}

/// `(span, from, to)` in microseconds.
fn path(assembly: &Assembly<'_>) -> Vec<(usize, i64, i64)> {
    assembly.critical_path.iter().map(|part| (part.span, part.from_ns / 1000, part.to_ns / 1000)).collect()
}

/// `(span, depth)` in order.
fn order(assembly: &Assembly<'_>) -> Vec<(usize, u64)> {
    assembly.nodes.iter().map(|node| (node.span, node.depth)).collect()
}

#[test]
fn nothing_has_no_root() {
    assert_eq!(assemble(&[]), Assembly::default());
}

#[test]
fn services_and_critical_path_of_a_call_tree() {
    let spans = [
        span(3, Some(1), "reviews", 400, 500),
        span(1, None, "page", 100, 1000),
        span(2, Some(1), "details", 200, 300),
        Span { is_error: true, ..span(4, Some(3), "ratings", 500, 100) },
    ];
    let assembly = assemble(&spans);
    assert_eq!((assembly.root, assembly.start_ns, assembly.duration_ns), (Some(1), 100_000, 1_000_000));
    assert_eq!(order(&assembly), [(1, 0), (2, 1), (0, 1), (3, 2)]);
    // `details` overlaps `reviews`, which ended later: it was not waited for.
    assert_eq!(path(&assembly), [(1, 100, 400), (0, 400, 500), (3, 500, 600), (0, 600, 900), (1, 900, 1100)]);
    let services: Vec<_> = assembly.services.iter().map(|s| (s.name, s.spans, s.errors, s.critical_ns / 1000)).collect();
    assert_eq!(services, [("page", 1, 0, 500), ("details", 1, 0, 0), ("reviews", 1, 0, 400), ("ratings", 1, 1, 100)]);
    assert_eq!((assembly.errors, assembly.oddities), (1, vec![]));
}

#[test]
fn one_after_the_other_all_are_on_the_path() {
    let spans = [span(1, None, "a", 0, 100), span(2, Some(1), "b", 10, 20), span(3, Some(1), "b", 30, 20)];
    assert_eq!(path(&assemble(&spans)), [(0, 0, 10), (1, 10, 30), (2, 30, 50), (0, 50, 100)]);
}

#[test]
fn the_servers_half_of_a_shared_span_hangs_from_the_clients() {
    let client = of_kind(SpanKind::Client, span(2, Some(1), "page", 10, 80));
    let server = Span { shared: true, ..of_kind(SpanKind::Server, span(2, Some(1), "reviews", 20, 60)) };
    let below = span(3, Some(2), "reviews", 30, 10);
    let other = span(4, Some(2), "elsewhere", 45, 10);
    let spans = [server, below, other, client, span(1, None, "page", 0, 100)];
    let assembly = assemble(&spans);
    assert_eq!(order(&assembly), [(4, 0), (3, 1), (0, 2), (1, 3), (2, 3)]);
    assert_eq!(assembly.oddities, []);
}

#[test]
fn a_clock_that_is_behind_is_moved_with_all_that_it_timed() {
    let client = of_kind(SpanKind::Client, span(1, None, "page", 1_000, 100));
    let server = of_kind(SpanKind::Server, span(2, Some(1), "reviews", 500, 60));
    let inside = span(3, Some(2), "reviews", 510, 10);
    let spans = [client, server, inside];
    let assembly = assemble(&spans);
    // 40 µs of the way, half of them there: 1020 instead of 500.
    let moved: Vec<_> = assembly.nodes.iter().map(|node| (node.span, node.start_ns / 1000, node.skew_ns / 1000)).collect();
    assert_eq!(moved, [(0, 1_000, 0), (1, 1_020, 520), (2, 1_030, 520)]);
    assert_eq!((assembly.duration_ns, assembly.oddities), (100_000, vec![TraceOddity::ClockSkew]));
}

/// Two replicas of one service call each other: two clocks, told apart by what Envoy calls its node.
#[test]
fn replicas_have_clocks_of_their_own() {
    let at = |node: &str, span: Span| Span { attributes: vec![("node_id".into(), AttributeValue::text(node))], ..span };
    let spans = [at("a", span(1, None, "ring", 1_000, 100)), at("b", span(2, Some(1), "ring", 0, 50))];
    assert_eq!(assemble(&spans).nodes[1].start_ns, 1_025_000);
    let spans = [at("a", span(1, None, "ring", 1_000, 100)), at("a", span(2, Some(1), "ring", 0, 50))];
    assert_eq!(assemble(&spans).nodes[1].start_ns, 0);
}

#[test]
fn a_child_that_lasts_longer_is_only_kept_from_starting_early() {
    let late = [span(1, None, "a", 100, 10), span(2, Some(1), "b", 105, 50)];
    let assembly = assemble(&late);
    assert_eq!((assembly.nodes[1].start_ns, assembly.oddities), (105_000, vec![TraceOddity::OutlivesRoot]));
    let early = [span(1, None, "a", 100, 10), span(2, Some(1), "b", 20, 50)];
    assert_eq!(assemble(&early).nodes[1].start_ns, 100_000);
    let message = [span(1, None, "a", 100, 10), of_kind(SpanKind::Consumer, span(2, Some(1), "b", 900, 5))];
    assert_eq!(assemble(&message).nodes[1].start_ns, 900_000);
}

#[test]
fn missing_and_several_roots_are_told() {
    let orphans = [span(3, Some(2), "b", 50, 5), span(4, Some(9), "c", 40, 5)];
    let assembly = assemble(&orphans);
    assert_eq!(assembly.root, Some(1));
    assert_eq!(assembly.oddities, [TraceOddity::MissingRoot, TraceOddity::MissingParent, TraceOddity::OutlivesRoot]);
    let two = [span(1, None, "a", 10, 5), span(2, None, "b", 5, 20)];
    let assembly = assemble(&two);
    assert_eq!((assembly.root, assembly.oddities), (Some(1), vec![TraceOddity::SeveralRoots]));
    // The span that everything was missing arrives at last.
    let mut late = orphans.to_vec();
    late.extend([span(2, Some(1), "a", 45, 20), span(9, Some(1), "a", 35, 20), span(1, None, "a", 30, 60)]);
    let assembly = assemble(&late);
    assert_eq!((assembly.root, assembly.oddities.as_slice()), (Some(4), &[][..]));
}

#[test]
fn cycles_are_cut_above_their_earliest_span() {
    let spans = [span(1, Some(3), "a", 10, 5), span(2, Some(1), "a", 5, 5), span(3, Some(2), "a", 20, 5)];
    let assembly = assemble(&spans);
    assert_eq!(order(&assembly), [(1, 0), (2, 1), (0, 2)]);
    assert_eq!(assembly.oddities, [TraceOddity::MissingRoot, TraceOddity::Cycle, TraceOddity::OutlivesRoot]);
    let own = [span(1, Some(1), "a", 10, 5)];
    let assembly = assemble(&own);
    assert_eq!((assembly.root, assembly.oddities), (Some(0), vec![TraceOddity::MissingRoot, TraceOddity::Cycle]));
}

#[test]
fn two_spans_of_one_id_are_told() {
    let spans = [span(1, None, "a", 0, 10), span(2, Some(1), "a", 1, 2), span(2, Some(1), "b", 1, 2)];
    assert_eq!(assemble(&spans).oddities, [TraceOddity::DuplicateId]);
}

#[test]
fn a_trace_may_be_a_chain_of_its_whole_length() {
    let spans: Vec<Span> = (0..10_000_u64)
        .map(|n| Span {
            id: n.to_be_bytes(),
            parent_id: (n > 0).then(|| (n - 1).to_be_bytes()),
            start_ns: n as i64,
            duration_ns: 20_000 - 2 * n as i64,
            ..Span::default()
        })
        .collect();
    let assembly = assemble(&spans);
    assert_eq!((assembly.nodes[9_999].depth, assembly.critical_path.len()), (9_999, 19_999));
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0..1_000_i64, 1 => any::<i64>()]
}

prop_compose! {
    fn any_span()(
        id in 0..12_u8,
        parent in proptest::option::of(0..14_u8),
        kind in prop_oneof![Just(SpanKind::Client), Just(SpanKind::Server), Just(SpanKind::Internal), Just(SpanKind::Consumer)],
        shared in any::<bool>(),
        service in "[abc]",
        start_us in any_time(),
        duration_us in any_time(),
        is_error in any::<bool>(),
    ) -> Span {
        Span { kind, shared, is_error, ..span(id, parent, &service, start_us, duration_us) }
    }
}

proptest! {
    #[test]
    fn any_set_of_spans_is_put_in_order(spans in prop::collection::vec(any_span(), 0..40)) {
        let assembly = assemble(&spans);
        let mut seen: Vec<usize> = assembly.nodes.iter().map(|node| node.span).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..spans.len()).collect::<Vec<_>>());
        for (place, node) in assembly.nodes.iter().enumerate() {
            prop_assert!(node.parent.is_none_or(|parent| parent < place && assembly.nodes[parent].depth + 1 == node.depth));
            prop_assert!(node.start_ns >= assembly.start_ns && node.duration_ns >= 0);
            prop_assert!(node.start_ns + node.duration_ns <= assembly.start_ns + assembly.duration_ns);
        }
        prop_assert_eq!(assembly.services.iter().map(|service| service.spans).sum::<u64>(), spans.len() as u64);
        prop_assert_eq!(assembly.services.iter().map(|service| service.errors).sum::<u64>(), assembly.errors);
        prop_assert_eq!(assembly.root.is_none(), spans.is_empty());
    }

    #[test]
    fn the_critical_path_covers_the_root_without_gaps(spans in prop::collection::vec(any_span(), 1..40)) {
        let assembly = assemble(&spans);
        let root = assembly.nodes.iter().find(|node| Some(node.span) == assembly.root).unwrap();
        let mut at_ns = root.start_ns;
        for part in &assembly.critical_path {
            prop_assert_eq!(part.from_ns, at_ns);
            prop_assert!(part.from_ns < part.to_ns);
            at_ns = part.to_ns;
        }
        prop_assert_eq!(at_ns, root.start_ns + root.duration_ns);
        prop_assert_eq!(assembly.nodes.iter().map(|node| node.critical_ns).sum::<i64>(), root.duration_ns);
        prop_assert_eq!(assembly.services.iter().map(|service| service.critical_ns).sum::<i64>(), root.duration_ns);
    }
}
