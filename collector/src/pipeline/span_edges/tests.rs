//! Exchanges in all orders of their halves.

use super::*;
use crate::store::{AttributeValue, Resource, SpanKind};

fn edges() -> SpanEdges {
    SpanEdges::new(Box::new(|| 0))
}

fn span(kind: SpanKind, id: u8, parent: Option<u8>, service: &str, pod: &str) -> Span {
    let tag = |name: &str, value: &str| (name.into(), AttributeValue::text(value));
    let mut attributes = vec![
        tag("node_id", &format!("sidecar~10.0.0.1~{pod}.shop~shop.svc.cluster.local")),
        tag("http.status_code", "200"),
        tag("response_size", "100"),
        tag("istio.canonical_service", service),
        tag("istio.canonical_revision", "v1"),
    ];
    attributes.push(match kind {
        SpanKind::Client => tag("upstream_cluster", "outbound|8080||reviews.shop.svc.cluster.local"),
        _ => tag("upstream_cluster", "inbound|8080||"),
    });
    Span {
        trace_id: [1; 16],
        id: [id; 8],
        parent_id: parent.map(|parent| [parent; 8]),
        kind,
        resource: Arc::new(Resource { service: format!("{service}.shop").into(), ..Resource::default() }),
        start_ns: 25_000_000_000,
        duration_ns: 7_000_000,
        attributes,
        ..Span::default()
    }
}

fn client() -> Span {
    span(SpanKind::Client, 1, None, "page", "page-v1-6b7f6db6c-x2x7p")
}

fn server() -> Span {
    span(SpanKind::Server, 2, Some(1), "reviews", "reviews-v2-0")
}

/// `reporter source -> service -> destination: requests`, sorted.
fn told(added: &AddedEdges) -> Vec<String> {
    let mut lines: Vec<_> = added
        .iter()
        .map(|(_, edge, totals)| {
            let l = &edge.labels;
            format!(
                "{} {} -> {} -> {}: {}",
                l.reporter, l.source_workload, l.destination_service, l.destination_workload, totals.requests
            )
        })
        .collect();
    lines.sort();
    lines
}

const BOTH: &str = "destination page-v1 -> reviews.shop.svc.cluster.local -> reviews-v2: 1";

#[test]
fn both_halves_are_one_request_in_either_order() {
    for spans in [[client(), server()], [server(), client()]] {
        let edges = edges();
        let planned = edges.plan(&spans[..1]);
        assert_eq!(told(&planned.added), [""; 0]);
        let planned = edges.plan(&spans[1..]);
        assert_eq!(told(&planned.added), [BOTH]);
        let (step_s, edge, totals) = &planned.added[0];
        assert_eq!((*step_s, totals.duration.sum, totals.response_bytes), (20, 7.0, 100.0));
        let l = &edge.labels;
        assert_eq!((&*l.telemetry, &*l.response_code, &*l.response_flags), ("spans", "200", "-"));
        assert_eq!(
            (&*l.source_workload_namespace, &*l.destination_service_name, &*l.destination_version),
            ("shop", "reviews", "v1")
        );
        // Sent again, together or alone, they are not counted again, and nothing waits.
        assert_eq!(told(&edges.plan(&spans).added), [""; 0]);
        assert_eq!(told(&edges.expire(true).added), [""; 0]);
    }
}

#[test]
fn in_one_batch_requests_add_up() {
    let mut spans = Vec::new();
    for trace in 1..=3 {
        spans.extend([client(), server()].map(|span| Span { trace_id: [trace; 16], ..span }));
    }
    let planned = edges().plan(&spans);
    assert_eq!(told(&planned.added), ["destination page-v1 -> reviews.shop.svc.cluster.local -> reviews-v2: 3"]);
}

#[test]
fn a_half_whose_other_does_not_come_is_counted_alone_and_then_no_more() {
    let edges = edges();
    assert!(edges.plan(&[client()]).added.is_empty());
    assert!(edges.expire(false).added.is_empty(), "it waits");
    assert_eq!(told(&edges.expire(true).added), ["source page-v1 -> reviews.shop.svc.cluster.local -> unknown: 1"]);
    assert_eq!(told(&edges.plan(&[server()]).added), [""; 0]);
    let edges = self::edges();
    let _ = edges.plan(&[server()]);
    assert_eq!(told(&edges.expire(true).added), ["destination unknown -> reviews -> reviews-v2: 1"]);
    assert_eq!(told(&edges.plan(&[client()]).added), [""; 0]);
}

#[test]
fn a_request_from_outside_is_counted_at_once() {
    let planned = edges().plan(&[span(SpanKind::Server, 9, None, "gateway", "gateway-0")]);
    assert_eq!(told(&planned.added), ["destination unknown -> gateway -> gateway: 1"]);
}

#[test]
fn shared_spans_pair_by_their_own_id() {
    let server = Span { id: [1; 8], parent_id: None, shared: true, ..server() };
    assert_eq!(told(&edges().plan(&[server, client()]).added), [BOTH]);
}

#[test]
fn what_was_not_stored_was_not_seen() {
    let edges = edges();
    let _ = edges.plan(&[client()]);
    let planned = edges.plan(&[server()]);
    assert_eq!(told(&planned.added), [BOTH]);
    edges.undo(planned);
    assert_eq!(told(&edges.plan(&[server()]).added), [BOTH], "tried again");
    let edges = self::edges();
    let planned = edges.plan(&[client()]);
    edges.undo(planned);
    assert_eq!(told(&edges.expire(true).added), [""; 0]);
}

#[test]
fn a_proxy_and_its_own_application_are_no_exchange() {
    let edges = edges();
    let outside = span(SpanKind::Client, 1, None, "reviews", "reviews-v2-0");
    assert!(edges.plan(&[outside, server()]).added.is_empty());
    assert!(edges.expire(true).added.is_empty());
}

#[test]
fn calls_below_a_span_that_is_no_call_are_all_counted() {
    let edges = edges();
    let other = Span { id: [3; 8], ..server() };
    let now = edges.plan(&[server(), other]);
    let later = edges.expire(true);
    assert_eq!([told(&now.added), told(&later.added)].concat(), ["destination unknown -> reviews -> reviews-v2: 1"; 2]);
}

#[test]
fn a_full_dictionary_takes_no_more() {
    let edges = SpanEdges::new(Box::new(|| EDGES_MAX));
    let planned = edges.plan(&[client(), server()]);
    assert_eq!((planned.added.len(), planned.without_edge), (0, 1));
}

#[test]
fn waiting_is_bounded() {
    let edges = edges();
    let spans: Vec<Span> = (0..PENDING_MAX as u64 + 5).map(|number| Span { id: number.to_be_bytes(), ..client() }).collect();
    let planned = edges.plan(&spans);
    assert_eq!(planned.added.iter().map(|(_, _, totals)| totals.requests).sum::<u64>(), 5);
    assert_eq!(edges.state.lock().pending.len(), PENDING_MAX);
}
