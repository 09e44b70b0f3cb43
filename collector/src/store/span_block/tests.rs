//! Blocks give back the spans that went in, whatever is in them, and no bytes make them panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::block::{Compact, StoredBlock};
use super::super::span::{AttributeValue, Attributes, Endpoint, Resource, Scope, SpanEvent, SpanLink, TraceQuery};
use super::*;

const START_NS: i64 = 1_795_413_600_000_000_000;

fn value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        "[a-c]{0,3}".prop_map(|text| AttributeValue::Text(text.into())),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<i64>().prop_map(AttributeValue::Int),
        (-1e9..1e9f64).prop_map(AttributeValue::Double),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(AttributeValue::Bytes),
        "[\\[\\]{}a-z]{0,6}".prop_map(|text| AttributeValue::Json(text.into())),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec(("[a-e]{1,2}".prop_map(Arc::from), value()), 0..5)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let ip = prop_oneof![
        Just(None),
        any::<u32>().prop_map(|bits| Some(IpAddr::V4(Ipv4Addr::from(bits)))),
        any::<u128>().prop_map(|bits| Some(IpAddr::V6(Ipv6Addr::from(bits)))),
    ];
    (prop_oneof!["", "cart", "shop"], ip, any::<u16>()).prop_map(|(service, ip, port)| Endpoint {
        service: service.into(),
        ip,
        port,
    })
}

fn event() -> impl Strategy<Value = SpanEvent> {
    (any::<i64>(), "[x-z]{0,2}", attributes()).prop_map(|(at_ns, name, attributes)| SpanEvent {
        at_ns,
        name: name.into(),
        attributes,
    })
}

fn link() -> impl Strategy<Value = SpanLink> {
    (any::<[u8; 16]>(), any::<[u8; 8]>(), "[a-z]{0,3}", attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, flags)| SpanLink {
            trace_id,
            span_id,
            trace_state: trace_state.into(),
            attributes,
            flags,
        },
    )
}

prop_compose! {
    fn who()(service in prop_oneof!["cart", "shop", ""], attributes in attributes(), name in "[a-b]{0,1}", url in "[u]{0,1}")
        -> (Arc<Resource>, Arc<Scope>) {
        let scope = Scope { name: name.into(), version: "1".into(), attributes: attributes.clone(), schema_url: url.as_str().into() };
        (Arc::new(Resource { service: service.into(), attributes, schema_url: url.into() }), Arc::new(scope))
    }
}

prop_compose! {
    fn span()(
        ids in (0u8..4, 0u8..6, prop::option::of(0u8..8)),
        kind in 0i64..6,
        bits in any::<[bool; 4]>(),
        (resource, scope) in who(),
        texts in ("[a-c]{0,2}", "[a-c]{0,2}", "[a-c]{0,2}"),
        times in (0i64..7_200_000_000_000, any::<i32>(), any::<u32>()),
        ends in (endpoint(), prop::option::of(endpoint())),
        attributes in attributes(),
        lists in (prop::collection::vec(event(), 0..3), prop::collection::vec(link(), 0..2)),
    ) -> Span {
        Span {
            trace_id: [ids.0; 16],
            id: [ids.1; 8],
            parent_id: ids.2.map(|id| [id; 8]),
            kind: SpanKind::from_number(kind),
            shared: bits[0],
            debug: bits[1],
            is_error: bits[2],
            is_ok: bits[3],
            resource,
            scope,
            name: texts.0,
            status_message: texts.1,
            trace_state: texts.2,
            start_ns: START_NS + times.0,
            duration_ns: i64::from(times.1),
            flags: times.2,
            local: ends.0,
            remote: ends.1,
            attributes,
            events: lists.0,
            links: lists.1,
        }
    }
}

/// Sorted the same way, because blocks are by slice.
fn all(blocks: &[(EncodedBlock, Names)]) -> Vec<Span> {
    blocks.iter().flat_map(|(block, _)| decode(&block.data).unwrap()).collect()
}

fn slice_of(span: &Span) -> i64 {
    Family::SpanBlock.slice_at(span.start_ns.div_euclid(1_000_000_000)).from_s
}

proptest! {
    #[test]
    fn spans_come_back_as_they_were(mut spans in prop::collection::vec(span(), 1..40)) {
        let blocks = encode(spans.iter()).unwrap();
        for (block, names) in &blocks {
            let decoded = decode(&block.data).unwrap();
            prop_assert_eq!(block.items as usize, decoded.len());
            prop_assert!(decoded.iter().all(|span| slice_of(span) == block.slice_s));
            prop_assert_eq!(block.from_us, decoded.iter().map(Span::start_us).min().unwrap());
            prop_assert_eq!(block.to_us, decoded.iter().map(Span::start_us).max().unwrap());
            prop_assert!(decoded.iter().all(|span| names[&**span.service()].operations.contains_key(&span.name)));
        }
        spans.sort_by_key(slice_of);
        prop_assert_eq!(all(&blocks), spans);
    }

    #[test]
    fn what_a_span_has_finds_its_block(spans in prop::collection::vec(span(), 1..20), number in 0usize..20) {
        let wanted = &spans[number % spans.len()];
        let mut query = TraceQuery {
            service: Some(wanted.service().to_string()),
            remote_service: wanted.remote.as_ref().map(|remote| remote.service.to_string()),
            name: Some(wanted.name.clone()),
            duration_us_min: Some(wanted.duration_us()),
            duration_us_max: Some(wanted.duration_us()),
            is_error: Some(wanted.is_error),
            text: Some(wanted.name.to_uppercase()),
            from_us: wanted.start_us(),
            to_us: wanted.start_us() + 1,
            ..TraceQuery::default()
        };
        let told = wanted.attributes.iter().chain(&wanted.resource.attributes);
        query.annotations = told.clone().map(|(name, value)| (name.to_string(), Some(value.to_string()))).collect();
        query.annotations.extend(told.map(|(name, _)| (name.to_string(), None)));
        query.annotations.extend(wanted.events.iter().map(|event| (event.name.to_string(), None)));
        let mut found = false;
        for (block, _) in encode(spans.iter()).unwrap() {
            prop_assert!(may_have_trace(&block.summary, &wanted.trace_id) || block.slice_s != slice_of(wanted));
            let raw = unpack(&block.data).unwrap();
            let columns = SpanColumns::read(&raw).unwrap();
            for row in Matcher::new(&query).rows(&columns).unwrap() {
                prop_assert!(may_match(&query, &block.summary).unwrap());
                found |= columns.span(row).unwrap() == *wanted;
            }
        }
        prop_assert!(found);
    }

    #[test]
    fn no_bytes_panic(
        spans in prop::collection::vec(span(), 1..6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut raw = unpack(&encode(spans.iter()).unwrap()[0].0.data).unwrap();
        for (place, byte) in changes {
            let place = place.index(raw.len());
            raw[place] = byte;
        }
        let query = TraceQuery { text: Some("a".into()), annotations: vec![("a".into(), None)], to_us: i64::MAX, ..TraceQuery::default() };
        for bytes in [&raw[..], &raw[..cut.index(raw.len())], &noise] {
            if let Ok(columns) = SpanColumns::read(bytes) {
                for row in 0..columns.len() {
                    let _ = columns.span(row);
                }
                let _ = Matcher::new(&query).rows(&columns);
            }
        }
        let _ = decode(&noise);
    }

    #[test]
    fn a_merge_keeps_each_span_once(spans in prop::collection::vec(span(), 1..30)) {
        let spans: Vec<Span> = spans.into_iter().map(|mut span| { span.start_ns = START_NS + span.start_ns % 1_000_000_000; span }).collect();
        let halves = [encode(spans.iter()).unwrap(), encode(spans[..spans.len() / 2].iter()).unwrap()].concat();
        let stored: Vec<StoredBlock> =
            halves.into_iter().map(|(block, _)| StoredBlock { block_id: 1, level: 0, block }).collect();
        let merged = SpanCompact.merge(&stored).unwrap();
        let ids = |spans: &[Span]| {
            let key = |span: &Span| (span.trace_id, span.start_ns, span.id, span.kind, span.shared, span.service().clone());
            let mut ids: Vec<_> = spans.iter().map(key).collect();
            ids.sort();
            ids
        };
        let mut expected = ids(&spans);
        expected.dedup();
        let merged = decode(&merged[0].data).unwrap();
        prop_assert_eq!(ids(&merged), expected);
        prop_assert!(merged.is_sorted_by_key(|span| span.trace_id));
    }
}

#[test]
fn a_merge_names_the_block_that_cannot_be_read() {
    let span = Span { start_ns: START_NS, ..Span::default() };
    let (block, _) = encode(std::iter::once(&span)).unwrap().pop().unwrap();
    let good = StoredBlock { block_id: 1, level: 0, block };
    let mut bad = good.clone();
    bad.block.data.truncate(20);
    let (place, _) = SpanCompact.merge(&[good, bad]).unwrap_err();
    assert_eq!(place, 1);
}

#[test]
fn more_names_of_attributes_than_columns_come_back() {
    let named = |number: i64| {
        let attributes = (0..7).map(|n| (format!("name-{}", number * 7 + n).into(), AttributeValue::Int(n))).collect();
        Span { start_ns: START_NS, attributes, ..Span::default() }
    };
    let spans: Vec<Span> = (0..400).map(named).collect();
    let blocks = encode(spans.iter()).unwrap();
    assert_eq!(all(&blocks), spans);
    let annotations = vec![("name-2799".to_owned(), Some("6".to_owned()))];
    let query = TraceQuery { annotations, to_us: i64::MAX, ..TraceQuery::default() };
    assert!(may_match(&query, &blocks[0].0.summary).unwrap());
    let raw = unpack(&blocks[0].0.data).unwrap();
    assert_eq!(Matcher::new(&query).rows(&SpanColumns::read(&raw).unwrap()).unwrap(), [399]);
}

#[test]
fn many_spans_are_several_blocks() {
    let spans: Vec<Span> = (0..SPANS_MAX as i64 + 5).map(|n| Span { start_ns: START_NS + n, ..Span::default() }).collect();
    let blocks = encode(spans.iter()).unwrap();
    assert_eq!(blocks.iter().map(|(block, _)| block.items as usize).collect::<Vec<_>>(), [SPANS_MAX, 5]);
    assert_eq!(all(&blocks), spans);
}
