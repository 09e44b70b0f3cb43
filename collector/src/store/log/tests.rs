//! Blocks of logs: what goes in comes out, damage does no harm, and searches find what a plain scan finds.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::store::span::{AttributeValue, Resource, Scope};

/// A round hour.
const HOUR_NS: i64 = 1_795_413_600_000_000_000;

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-z/é]{0,12}".prop_map(|text| Arc::from(text.as_str()))
}

fn name() -> impl Strategy<Value = Arc<str>> {
    "[a-z.]{1,6}".prop_map(|text| Arc::from(text.as_str()))
}

fn value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        text().prop_map(AttributeValue::Text),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<i64>().prop_map(AttributeValue::Int),
        (-1e9..1e9f64).prop_map(AttributeValue::Double),
        vec(any::<u8>(), 0..9).prop_map(AttributeValue::Bytes),
        text().prop_map(AttributeValue::Json),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<(Arc<str>, AttributeValue)>> {
    vec((name(), value()), 0..4)
}

fn id() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        Just("343a860d-c001-92fc-98fa-bd3412029667".into()),
        Just("343A860D-c001-92fc-98fa-bd3412029667".into()),
        any::<u128>().prop_map(|id| builder::uuid_text(id).into()),
        Just(Arc::from("short"))
    ]
}

fn access() -> impl Strategy<Value = AccessFields> {
    let texts = vec((0..TextField::ALL.len(), text(), id()), 0..8);
    let numbers = vec((0..NumberField::ALL.len(), prop_oneof![0..300u64, 0..=NUMBER_MAX]), 0..8);
    (texts, numbers).prop_map(|(texts, numbers)| {
        let mut fields = AccessFields::default();
        for (index, text, id) in texts {
            let field = TextField::ALL[index];
            let text = if field.is_id() { id } else { text };
            if !field.is_common() && fields.text(field).is_empty() && !text.is_empty() {
                fields.texts.push((field, text));
            }
        }
        for (index, number) in numbers {
            let field = NumberField::ALL[index];
            if !field.is_common() && fields.number(field).is_none() {
                fields.numbers.push((field, number));
            }
        }
        fields.texts.sort_by_key(|(field, _)| *field);
        fields.numbers.sort_by_key(|(field, _)| *field);
        fields
    })
}

fn record() -> impl Strategy<Value = LogRecord> {
    let resources = prop_oneof![Just("reviews"), Just("ratings")];
    let head = (0..3_600_000_000_000i64, any::<bool>(), 0..25u8, text(), text(), option::of(value()));
    let tail = (resources, attributes(), any::<bool>(), option::of(any::<[u8; 16]>()), option::of(any::<[u8; 8]>()), access());
    (head, tail).prop_map(
        |((time, seen, severity, severity_text, event_name, body), (service, attributes, scoped, trace, span, access))| {
            let trace_id = trace.filter(|id| *id != [0; 16]);
            LogRecord {
                time_ns: HOUR_NS + time,
                observed_ns: if seen { HOUR_NS } else { 0 },
                severity,
                severity_text,
                event_name,
                body,
                resource: Arc::new(Resource { service: service.into(), ..Resource::default() }),
                scope: Arc::new(Scope { name: if scoped { "lib".into() } else { "".into() }, ..Scope::default() }),
                attributes,
                trace_id,
                span_id: span.filter(|id| trace_id.is_some() && *id != [0; 8]),
                trace_flags: u32::from(severity),
                access,
            }
        },
    )
}

fn block(records: &[LogRecord]) -> FinishedLogs {
    let mut builder = LogBlockBuilder::new();
    records.iter().for_each(|record| builder.push(record));
    let mut blocks = builder.finish(LEVEL_QUICK).unwrap();
    assert_eq!(blocks.len(), 1);
    blocks.remove(0)
}

fn all(block: &LogBlock) -> Vec<LogRecord> {
    block.records(&(0..block.rows() as u32).collect::<Vec<_>>()).unwrap()
}

fn sorted(mut records: Vec<LogRecord>) -> Vec<LogRecord> {
    records.sort_by_key(|record| record.time_ns);
    records
}

/// The slow and plain way to find lines.
fn scan(records: &[LogRecord], query: &LogQuery) -> Vec<LogRecord> {
    let text = |record: &LogRecord, field| record.access.text(field).to_owned();
    let matches = |record: &&LogRecord| {
        record.time_ns >= query.from_ns
            && record.time_ns < query.to_ns
            && query.service.as_ref().is_none_or(|service| *service == *record.resource.service)
            && query.method.as_ref().is_none_or(|method| *method == text(record, TextField::Method))
            && query.path_prefix.as_ref().is_none_or(|prefix| text(record, TextField::Path).starts_with(prefix.as_str()))
            && query.trace_id.is_none_or(|id| record.trace_id == Some(id))
            && query.severity.is_none_or(|severity| record.severity >= severity)
            && query.code.is_none_or(|(from, to)| {
                record.access.number(NumberField::ResponseCode).is_some_and(|code| (from..=to).contains(&code))
            })
    };
    let mut found: Vec<LogRecord> = records.iter().filter(matches).cloned().collect();
    found.reverse();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_goes_in_comes_out(records in vec(record(), 1..30)) {
        let finished = block(&records);
        let read = LogBlock::open(&finished.data).unwrap();
        let expected = sorted(records);
        prop_assert_eq!(&all(&read), &expected);
        prop_assert_eq!(finished.slice_s, 1_795_413_600);
        prop_assert_eq!(finished.from_us, expected[0].time_ns / 1000);
        prop_assert_eq!(finished.to_us, expected[expected.len() - 1].time_ns / 1000);

        // Two blocks become one without a difference.
        let half = expected.len() / 2;
        let mut merged = LogBlockBuilder::new();
        for part in [&expected[half..], &expected[..half]].into_iter().filter(|part| !part.is_empty()) {
            let part = LogBlock::open(&block(part).data).unwrap();
            prop_assert!(merged.has_room_for(&part));
            merged.append(&part).unwrap();
        }
        let merged = merged.finish(LEVEL_DENSE).unwrap();
        prop_assert_eq!(sorted(all(&LogBlock::open(&merged[0].data).unwrap())), sorted(expected));
    }

    #[test]
    fn searches_find_what_a_scan_finds(records in vec(record(), 1..30), chosen in 0..30usize) {
        let records = sorted(records);
        let finished = block(&records);
        let read = LogBlock::open(&finished.data).unwrap();
        let one = &records[chosen % records.len()];
        let everything = LogQuery { from_ns: HOUR_NS, to_ns: HOUR_NS + 3_600_000_000_000, ..LogQuery::default() };
        let queries = [
            everything.clone(),
            LogQuery { to_ns: one.time_ns, ..everything.clone() },
            LogQuery { from_ns: one.time_ns, ..everything.clone() },
            LogQuery { service: Some("reviews".into()), ..everything.clone() },
            LogQuery { method: Some(one.access.text(TextField::Method).into()), ..everything.clone() },
            LogQuery { path_prefix: Some("a".into()), ..everything.clone() },
            LogQuery { trace_id: one.trace_id, severity: Some(3), ..everything.clone() },
            LogQuery { code: Some((200, 299)), ..everything.clone() },
        ];
        for query in queries {
            let found = read.records(&read.find(&query).unwrap()).unwrap();
            let expected = scan(&records, &query);
            prop_assert!(found.is_empty() || may_match(&finished.summary, &query));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn damage_does_no_harm(records in vec(record(), 1..8), place in any::<prop::sample::Index>(), byte in any::<u8>(), bytes in vec(any::<u8>(), 0..64)) {
        let plain = {
            let mut builder = LogBlockBuilder::new();
            records.iter().for_each(|record| builder.push(record));
            let mut rows: Vec<u32> = (0..records.len() as u32).collect();
            rows.sort_by_key(|row| records[*row as usize].time_ns);
            let stats = LogStats { from_ns: records[rows[0] as usize].time_ns, ..LogStats::default() };
            encode::Encoder::new(&builder, &rows).finish(&stats)
        };
        let mut damaged = plain.clone();
        damaged[place.index(plain.len())] = byte;
        for bad in [damaged, plain[..place.index(plain.len())].to_vec(), bytes] {
            let mut data = vec![1];
            data.extend(zstd::bulk::compress(&bad, 1).unwrap());
            if let Ok(block) = LogBlock::open(&data) {
                let rows: Vec<u32> = (0..block.rows() as u32).collect();
                let _ = block.records(&rows);
                let _ = block.find(&LogQuery { to_ns: i64::MAX, text: Some("a".into()), ..LogQuery::default() });
                let _ = LogBlockBuilder::new().append(&block);
            }
            let _ = LogBlock::open(&bad);
        }
    }
}

#[test]
fn texts_are_found_anywhere_in_a_line() {
    let mut one =
        LogRecord { time_ns: HOUR_NS, body: Some(AttributeValue::text("GET /Productpage took 5 ms")), ..LogRecord::default() };
    one.access.texts.push((TextField::RequestId, "343a860d-c001-92fc-98fa-bd3412029667".into()));
    let mut two = LogRecord { time_ns: HOUR_NS + 1, ..LogRecord::default() };
    two.attributes.push(("user".into(), AttributeValue::text("luffy")));
    let finished = block(&[one, two]);
    let read = LogBlock::open(&finished.data).unwrap();
    let rows = |text: &str| read.find(&LogQuery { to_ns: i64::MAX, text: Some(text.into()), ..LogQuery::default() }).unwrap();
    assert_eq!((rows("productPAGE"), rows("Luff"), rows("98fa-bd34"), rows("nowhere")), (vec![0], vec![1], vec![0], vec![]));
}

#[test]
fn flags_are_a_set_and_no_response_is_code_0() {
    let line = |at: i64, flags: &str, code: Option<u64>| {
        let mut record = LogRecord { time_ns: HOUR_NS + at, ..LogRecord::default() };
        record.access.texts.push((TextField::Flags, flags.into()));
        record.access.numbers.extend(code.map(|code| (NumberField::ResponseCode, code)));
        record.access.numbers.push((NumberField::DurationUs, 5));
        record
    };
    let finished =
        block(&[line(0, "URX,UF", Some(503)), line(1, "UF,URX", None), line(2, "DC", Some(0)), line(3, "", Some(200))]);
    let read = LogBlock::open(&finished.data).unwrap();
    let find = |query: LogQuery| {
        let query = LogQuery { to_ns: i64::MAX, ..query };
        let rows = read.find(&query).unwrap();
        (may_match(&finished.summary, &query), rows)
    };
    let flags = |flags: &[&str]| LogQuery { flags: flags.iter().map(|flag| (*flag).to_owned()).collect(), ..LogQuery::default() };
    assert_eq!(find(flags(&["UF"])), (true, vec![1, 0]));
    assert_eq!(find(flags(&["DC", "NR"])), (true, vec![2]));
    assert_eq!(find(flags(&["NR"])), (false, vec![]));
    assert_eq!(find(LogQuery { code: Some((0, 0)), ..LogQuery::default() }), (true, vec![2, 1]));
    assert_eq!(find(LogQuery { code: Some((500, 599)), ..LogQuery::default() }), (true, vec![0]));
    assert_eq!(find(LogQuery { code: Some((400, 499)), ..LogQuery::default() }), (false, vec![]));
}

#[test]
fn lines_of_two_slices_make_two_blocks() {
    let mut builder = LogBlockBuilder::new();
    for at in [0, 3_600_000_000_000, 1] {
        builder.push(&LogRecord { time_ns: HOUR_NS + at, ..LogRecord::default() });
    }
    let blocks = builder.finish(LEVEL_QUICK).unwrap();
    let found: Vec<_> = blocks.iter().map(|block| (block.slice_s, block.items)).collect();
    assert_eq!(found, [(1_795_413_600, 2), (1_795_417_200, 1)]);
}

#[test]
fn large_attributes_make_more_blocks_and_none_that_cannot_be_read() {
    let line = |at: u8| LogRecord {
        time_ns: HOUR_NS + i64::from(at),
        attributes: vec![("dump".into(), AttributeValue::Bytes(vec![at; 1 << 20]))],
        ..LogRecord::default()
    };
    let blocks: Vec<_> = (0..70).map(|at| block(&[line(at)])).collect();
    let merged = merge(blocks.iter().map(|block| &*block.data)).unwrap();
    let read = merged.iter().flat_map(|block| all(&LogBlock::open(&block.data).unwrap())).collect::<Vec<_>>();
    assert!((2..35).contains(&merged.len()), "{} blocks", merged.len());
    assert_eq!(read, (0..70).map(line).collect::<Vec<_>>());

    let mut builder = LogBlockBuilder::new();
    (0..5).for_each(|at| builder.push(&line(at)));
    assert!(builder.is_full());
}

#[test]
fn a_line_that_is_taken_back_leaves_nothing() {
    let mut builder = LogBlockBuilder::new();
    let resource = builder.resource(&Arc::new(Resource::default()));
    builder.text(TextField::Path, b"/kept");
    builder.attribute(b"a", AttributeRef::Int(1));
    builder.end(HOUR_NS, resource, None);
    builder.text(TextField::Method, b"GET");
    builder.text(TextField::RequestId, b"x");
    builder.attribute(b"b", AttributeRef::Int(2));
    builder.discard();
    builder.number(NumberField::ResponseCode, 200);
    builder.end(HOUR_NS + 1, resource, None);
    let read = all(&LogBlock::open(&builder.finish(LEVEL_QUICK).unwrap()[0].data).unwrap());
    assert_eq!(read[0].attributes, [("a".into(), AttributeValue::Int(1))]);
    assert_eq!((read[1].access.texts.len(), read[1].attributes.len()), (0, 0));
    assert_eq!(read[1].access.number(NumberField::ResponseCode), Some(200));
}
