//! What is kept beside a block of logs, so that a search can pass it by unread.

use super::builder::{IdCell, LogBlockBuilder, SourceCells};
use super::fields::{NumberField, TextField};
use super::query::LogQuery;

const VERSION: u8 = 1;
/// Bits of the filter for each word in it; one block in fifty is read in vain.
const BITS_PER_WORD: usize = 8;
const PROBES: u64 = 5;
/// Bytes of the largest filter.
const FILTER_BYTES_MAX: usize = 1 << 17;

/// Attributes of a resource that name its workload, first ours.
pub const WORKLOAD_ATTRIBUTES: [&str; 6] =
    ["workload.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.job.name", "k8s.pod.name"];
/// Attributes of a resource that name its namespace.
pub const NAMESPACE_ATTRIBUTES: [&str; 2] = ["k8s.namespace.name", "service.namespace"];

/// What a word of the filter stands for.
#[derive(Clone, Copy)]
enum Kind {
    Service = 1,
    Workload = 2,
    Namespace = 3,
    TraceId = 4,
    RequestId = 5,
    Direction = 6,
    Method = 7,
    Flags = 8,
}

/// Of the rows that go into one block.
pub(super) fn summary(from: &LogBlockBuilder, rows: &[u32]) -> Vec<u8> {
    let mut words = Vec::new();
    for field in [TextField::Direction, TextField::Method, TextField::Flags] {
        let column = &from.texts[field.index()];
        let mut ids: Vec<u32> = rows.iter().map(|row| column.get(*row as usize).copied().unwrap_or(0)).collect();
        ids.sort_unstable();
        ids.dedup();
        for text in ids.into_iter().map(|id| from.strings.get(id)) {
            match field {
                TextField::Direction => words.push(word(Kind::Direction, text)),
                TextField::Method => words.push(word(Kind::Method, text)),
                _ => words.extend(text.split(',').map(|flag| word(Kind::Flags, flag))),
            }
        }
    }
    for source in &from.resources.list {
        words.push(word(Kind::Service, from.strings.get(source.names[0])));
        words.extend(named(from, source, &WORKLOAD_ATTRIBUTES).map(|name| word(Kind::Workload, name)));
        words.extend(named(from, source, &NAMESPACE_ATTRIBUTES).map(|name| word(Kind::Namespace, name)));
    }
    for row in rows.iter().map(|row| *row as usize) {
        if let Some(id) = from.trace_ids.get(row).filter(|id| **id != 0) {
            words.push(raw_word(Kind::TraceId, *id));
        }
        match from.ids[0].get(row) {
            Some(IdCell::Raw(id)) => words.push(raw_word(Kind::RequestId, *id)),
            Some(IdCell::Text(id)) => words.push(word(Kind::RequestId, from.strings.get(*id))),
            _ => {}
        }
    }
    let mut out = vec![VERSION];
    out.extend(classes(from, rows).to_le_bytes());
    out.extend(filter(&words));
    out
}

fn named<'a>(from: &'a LogBlockBuilder, source: &'a SourceCells, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
    source.attributes.iter().filter_map(move |(name, cell)| match cell {
        super::builder::Cell::Text(id) if names.contains(&from.strings.get(*name)) => Some(from.strings.get(*id)),
        _ => None,
    })
}

/// One bit per hundred of the response codes; the lowest for those without one.
fn classes(from: &LogBlockBuilder, rows: &[u32]) -> u16 {
    let column = &from.numbers[NumberField::ResponseCode.index()];
    let codes = rows.iter().map(|row| column.get(*row as usize).copied().unwrap_or(0).saturating_sub(1));
    codes.fold(0, |classes, code| classes | 1 << (code / 100).min(15))
}

fn filter(words: &[u64]) -> Vec<u8> {
    let bytes = (words.len() * BITS_PER_WORD).div_ceil(8).next_power_of_two().clamp(8, FILTER_BYTES_MAX);
    let mut filter = vec![0u8; bytes];
    for word in words {
        for bit in bits(*word, bytes) {
            filter[bit / 8] |= 1 << (bit % 8);
        }
    }
    filter
}

/// `bytes` is a power of two.
fn bits(word: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let step = (word >> 32) | 1;
    (0..PROBES).map(move |probe| word.wrapping_add(probe.wrapping_mul(step)) as usize & (bytes * 8 - 1))
}

/// May a block with this summary hold a line that the query looks for? What cannot be read may.
#[must_use]
pub fn may_match(summary: &[u8], query: &LogQuery) -> bool {
    let [VERSION, low, high, filter @ ..] = summary else { return true };
    if !filter.len().is_power_of_two() {
        return true;
    }
    if let Some((from, to)) = query.code {
        let classes = u16::from_le_bytes([*low, *high]);
        if !(from / 100..=to / 100).any(|class| classes & 1 << class.min(15) != 0) {
            return false;
        }
    }
    let has = |word: u64| bits(word, filter.len()).all(|bit| filter[bit / 8] & 1 << (bit % 8) != 0);
    let text = |kind, text: &Option<String>| text.as_ref().is_none_or(|text| has(word(kind, text)));
    let request_id = query.request_id.as_ref().is_none_or(|id| match super::builder::parse_uuid(id.as_bytes()) {
        Some(raw) => has(raw_word(Kind::RequestId, raw)),
        None => has(word(Kind::RequestId, id)),
    });
    text(Kind::Service, &query.service)
        && text(Kind::Workload, &query.workload)
        && text(Kind::Namespace, &query.namespace)
        && text(Kind::Direction, &query.direction)
        && text(Kind::Method, &query.method)
        && (query.flags.is_empty() || query.flags.iter().any(|flag| has(word(Kind::Flags, flag))))
        && query.trace_id.is_none_or(|id| has(raw_word(Kind::TraceId, u128::from_be_bytes(id))))
        && request_id
}

/// FNV-1a, mixed: the same in every process and version.
fn word(kind: Kind, text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ kind as u64;
    mix(text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

fn raw_word(kind: Kind, id: u128) -> u64 {
    mix(mix((id >> 64) as u64 ^ kind as u64) ^ id as u64)
}

fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}
