//! What is known of a trace before its verdict, and how the facts of a group of spans are packed. All of it is minima, maxima
//! and sets, so that it may be merged in any order and more than once.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::block::CorruptBlock;
use super::super::span::Span;
use super::super::span_block::wire::{Reader, put, put_bytes, put_signed};
use super::super::span_block::{pack, unpack};
use super::{SpanWatch, TraceId};

/// Conditions of one file of rules: a bit each.
pub const CONDITIONS_MAX: usize = 64;
/// Names of conditions that are remembered of one trace: those of several files of rules, one after the other.
const MET_MAX: usize = 2 * CONDITIONS_MAX;

const VERSION: u8 = 1;
/// The row carries traces of older ones on, and says when each arrived.
const CARRIED: u8 = 1;

/// The span that a trace begins with, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// It has no parent, and so is the root; otherwise it is the earliest span.
    pub is_parentless: bool,
    pub start_us: i64,
    pub service: Arc<str>,
    pub operation: Arc<str>,
}

impl Root {
    fn rank(&self) -> (bool, i64, &str, &str) {
        (!self.is_parentless, self.start_us, &self.service, &self.operation)
    }
}

/// What the judge knows of a trace. Times in `_us` are those of its spans, in Unix microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFacts {
    /// Earliest and latest start, and latest end.
    pub first_us: i64,
    pub last_us: i64,
    pub end_us: i64,
    pub root: Root,
    /// Names of the conditions that spans of it meet, sorted.
    pub met: Vec<u64>,
    /// When spans of it arrived first and last, in Unix milliseconds by the clock of the database.
    pub arrived_ms: i64,
    pub quiet_since_ms: i64,
    /// The oldest row of facts that it is in.
    pub origin_id: i64,
}

impl TraceFacts {
    /// Adds what another row knows of the same trace.
    pub fn merge(&mut self, other: Self) {
        self.first_us = self.first_us.min(other.first_us);
        self.last_us = self.last_us.max(other.last_us);
        self.end_us = self.end_us.max(other.end_us);
        self.arrived_ms = self.arrived_ms.min(other.arrived_ms);
        self.quiet_since_ms = self.quiet_since_ms.max(other.quiet_since_ms);
        self.origin_id = self.origin_id.min(other.origin_id);
        if other.root.rank() < self.root.rank() {
            self.root = other.root;
        }
        for name in other.met {
            if let Err(place) = self.met.binary_search(&name)
                && self.met.len() < MET_MAX
            {
                self.met.insert(place, name);
            }
        }
    }
}

/// Facts of a group of spans, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedFacts {
    pub traces: u32,
    pub data: Vec<u8>,
}

/// What one group says of a trace, before it is packed.
struct Line<'a> {
    first_us: i64,
    last_us: i64,
    end_us: i64,
    root: (bool, i64, &'a str, &'a str),
    met: u64,
}

/// Facts of the spans of a group; `None` without spans.
pub fn pack_spans<'a>(spans: impl Iterator<Item = &'a Span>, watch: &dyn SpanWatch) -> std::io::Result<Option<PackedFacts>> {
    let mut lines: HashMap<&TraceId, Line<'_>> = HashMap::new();
    for span in spans {
        let start_us = span.start_us();
        let end_us = start_us.saturating_add(span.duration_us().max(0));
        let root = (span.parent_id.is_some() || span.shared, start_us, &**span.service(), span.name.as_str());
        let met = watch.met(span);
        let fresh = || Line { first_us: start_us, last_us: start_us, end_us, root, met };
        let line = lines.entry(&span.trace_id).or_insert_with(fresh);
        line.first_us = line.first_us.min(start_us);
        line.last_us = line.last_us.max(start_us);
        line.end_us = line.end_us.max(end_us);
        line.root = line.root.min(root);
        line.met |= met;
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let mut out = Packer::new(0, watch.conditions());
    for (id, line) in &lines {
        let (has_parent, start_us, service, operation) = line.root;
        out.times(id, [line.first_us, line.last_us, line.end_us]);
        out.root(!has_parent, start_us, service, operation);
        put(&mut out.lines, line.met);
    }
    out.finish(lines.len()).map(Some)
}

/// Facts that are carried on.
pub fn pack_carried(traces: &[(TraceId, &TraceFacts)]) -> std::io::Result<PackedFacts> {
    let mut out = Packer::new(CARRIED, &[]);
    for (id, facts) in traces {
        out.times(id, [facts.first_us, facts.last_us, facts.end_us]);
        out.root(facts.root.is_parentless, facts.root.start_us, &facts.root.service, &facts.root.operation);
        put(&mut out.lines, facts.met.len() as u64);
        facts.met.iter().for_each(|name| out.lines.extend_from_slice(&name.to_le_bytes()));
        put_signed(&mut out.lines, facts.arrived_ms);
        put_signed(&mut out.lines, facts.quiet_since_ms);
        put_signed(&mut out.lines, facts.origin_id);
    }
    out.finish(traces.len())
}

struct Packer<'a> {
    head: Vec<u8>,
    lines: Vec<u8>,
    names: Vec<&'a str>,
    places: HashMap<&'a str, u64>,
}

impl<'a> Packer<'a> {
    fn new(flags: u8, conditions: &[u64]) -> Self {
        let mut head = vec![VERSION, flags];
        put(&mut head, conditions.len() as u64);
        conditions.iter().for_each(|name| head.extend_from_slice(&name.to_le_bytes()));
        Self { head, lines: Vec::new(), names: Vec::new(), places: HashMap::new() }
    }

    fn times(&mut self, id: &TraceId, [first_us, last_us, end_us]: [i64; 3]) {
        self.lines.extend_from_slice(id);
        put_signed(&mut self.lines, first_us);
        put_signed(&mut self.lines, last_us.wrapping_sub(first_us));
        put_signed(&mut self.lines, end_us.wrapping_sub(first_us));
    }

    fn root(&mut self, is_parentless: bool, start_us: i64, service: &'a str, operation: &'a str) {
        self.lines.push(u8::from(is_parentless));
        put_signed(&mut self.lines, start_us);
        for name in [service, operation] {
            let next = self.names.len() as u64;
            let place = *self.places.entry(name).or_insert(next);
            if place == next {
                self.names.push(name);
            }
            put(&mut self.lines, place);
        }
    }

    fn finish(mut self, traces: usize) -> std::io::Result<PackedFacts> {
        put(&mut self.head, self.names.len() as u64);
        self.names.iter().for_each(|name| put_bytes(&mut self.head, name.as_bytes()));
        put(&mut self.head, traces as u64);
        self.head.extend_from_slice(&self.lines);
        Ok(PackedFacts { traces: u32::try_from(traces).unwrap_or(u32::MAX), data: pack(&self.head)? })
    }
}

/// Reads a row; `arrived_ms` and `facts_id` are its own, for a row that carries nothing.
pub fn read(data: &[u8], facts_id: i64, arrived_ms: i64) -> Result<Vec<(TraceId, TraceFacts)>, CorruptBlock> {
    let raw = unpack(data)?;
    let mut reader = Reader(&raw);
    if reader.byte()? != VERSION {
        return Err(CorruptBlock("its facts have no known version"));
    }
    let is_carried = reader.byte()? & CARRIED != 0;
    let conditions = names_of(&mut reader)?;
    let count = reader.size()?;
    let names: Vec<Arc<str>> = (0..count).map(|_| reader.text().map(Arc::from)).collect::<Result<_, _>>()?;
    let count = reader.size()?;
    let mut traces = Vec::with_capacity(count.min(raw.len() / 16));
    for _ in 0..count {
        let id: TraceId = reader.array()?;
        let first_us = reader.signed()?;
        let (last_us, end_us) = (first_us.wrapping_add(reader.signed()?), first_us.wrapping_add(reader.signed()?));
        let root = read_root(&mut reader, &names)?;
        let mut facts = TraceFacts {
            first_us,
            last_us,
            end_us,
            root,
            met: Vec::new(),
            arrived_ms,
            quiet_since_ms: arrived_ms,
            origin_id: facts_id,
        };
        if is_carried {
            facts.met = names_of(&mut reader)?;
            (facts.arrived_ms, facts.quiet_since_ms, facts.origin_id) = (reader.signed()?, reader.signed()?, reader.signed()?);
        } else {
            facts.met = met(reader.number()?, &conditions);
        }
        traces.push((id, facts));
    }
    Ok(traces)
}

fn read_root(reader: &mut Reader<'_>, names: &[Arc<str>]) -> Result<Root, CorruptBlock> {
    let (is_parentless, start_us) = (reader.byte()? != 0, reader.signed()?);
    let mut name = || names.get(reader.size()?).cloned().ok_or(CorruptBlock("a name is missing"));
    Ok(Root { is_parentless, start_us, service: name()?, operation: name()? })
}

fn names_of(reader: &mut Reader<'_>) -> Result<Vec<u64>, CorruptBlock> {
    let count = reader.size()?;
    if count > MET_MAX {
        return Err(CorruptBlock("its facts have too many conditions"));
    }
    (0..count).map(|_| reader.array().map(u64::from_le_bytes)).collect()
}

fn met(bits: u64, conditions: &[u64]) -> Vec<u64> {
    let mut met: Vec<u64> =
        conditions.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name).collect();
    met.sort_unstable();
    met
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::Resource;

    struct Slow;

    impl SpanWatch for Slow {
        fn conditions(&self) -> &[u64] {
            &[70, 60]
        }

        fn met(&self, span: &Span) -> u64 {
            u64::from(span.duration_us() >= 5) << 1
        }
    }

    fn span(trace: u8, parent: Option<u8>, service: &str, start_us: i64, duration_us: i64) -> Span {
        Span {
            trace_id: [trace; 16],
            parent_id: parent.map(|parent| [parent; 8]),
            resource: Arc::new(Resource { service: service.into(), ..Resource::default() }),
            name: format!("GET /{service}"),
            start_ns: start_us * 1000,
            duration_ns: duration_us * 1000,
            ..Span::default()
        }
    }

    fn facts(spans: &[Span]) -> Vec<(TraceId, TraceFacts)> {
        let packed = pack_spans(spans.iter(), &Slow).unwrap().unwrap();
        let mut read = read(&packed.data, 7, 100).unwrap();
        assert_eq!(read.len(), packed.traces as usize);
        read.sort_by_key(|(id, _)| *id);
        read
    }

    #[test]
    fn a_line_per_trace() {
        let spans = [span(1, Some(1), "b", 10, 4), span(2, Some(9), "c", 50, 6), span(1, None, "a", 20, 30)];
        let facts = facts(&spans);
        let [(one, first), (two, second)] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!((*one, *two), ([1; 16], [2; 16]));
        assert_eq!((first.first_us, first.last_us, first.end_us), (10, 20, 50));
        let root = Root { is_parentless: true, start_us: 20, service: "a".into(), operation: "GET /a".into() };
        assert_eq!((&first.root, &first.met[..]), (&root, &[60][..]));
        assert_eq!((second.root.is_parentless, &*second.root.service, second.origin_id), (false, "c", 7));
        assert_eq!((second.arrived_ms, second.quiet_since_ms), (100, 100));
        assert_eq!(pack_spans([].iter(), &Slow).unwrap(), None);
    }

    #[test]
    fn what_is_carried_comes_back_and_merges_more_than_once() {
        let mut early = facts(&[span(1, Some(1), "b", 10, 4)]).remove(0).1;
        let late = TraceFacts {
            arrived_ms: 900,
            quiet_since_ms: 900,
            origin_id: 12,
            ..facts(&[span(1, None, "a", 20, 30)]).remove(0).1
        };
        early.merge(late.clone());
        let merged = early.clone();
        early.merge(late);
        assert_eq!(early, merged);
        assert_eq!((merged.arrived_ms, merged.quiet_since_ms, merged.origin_id, &*merged.root.service), (100, 900, 7, "a"));
        let packed = pack_carried(&[([1; 16], &merged)]).unwrap();
        assert_eq!(read(&packed.data, 99, 5_000).unwrap(), [([1; 16], merged)]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&pack(&bytes).unwrap(), 1, 1);
            let _ = read(&bytes, 1, 1);
        }
    }
}
