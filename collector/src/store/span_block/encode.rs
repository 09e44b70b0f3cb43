//! Spans become one block.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::block::EncodedBlock;
use super::super::schema::Family;
use super::super::span::{AttributeValue, Resource, Scope, Span, SpanKind};
use super::attributes::AttributeColumns;
use super::dictionary::Dictionary;
use super::summary::SummaryBuilder;
use super::values::{put_attributes, put_endpoint, put_link, put_resource, put_scope};
use super::wire::{hash, put, put_bytes, put_signed};
use super::{Names, ServiceNames, flags, pack};

type Owned = Dictionary<Arc<[u8]>>;

/// Columns of the spans so far.
#[derive(Default)]
struct Builder<'a> {
    flags: Vec<u8>,
    trace_ids: Dictionary<&'a [u8]>,
    ids: Vec<u8>,
    names: Dictionary<&'a [u8]>,
    resources: Owned,
    scopes: Owned,
    locals: Owned,
    remotes: Owned,
    messages: Dictionary<&'a [u8]>,
    trace_states: Dictionary<&'a [u8]>,
    w3c_flags: Vec<u8>,
    attributes: AttributeColumns<'a>,
    event_counts: Vec<u8>,
    event_times: Vec<u8>,
    event_names: Dictionary<&'a [u8]>,
    event_attributes: Owned,
    link_counts: Vec<u8>,
    links: Owned,
    /// The last ones, which most spans share with the one before them.
    resource: Option<(&'a Arc<Resource>, Arc<[u8]>)>,
    scope: Option<(&'a Arc<Scope>, Arc<[u8]>)>,
    summary: SummaryBuilder,
    /// Id of the resource and of the name of the last span, and its kind.
    last_name: Option<(u32, u32, SpanKind)>,
    /// Id of the resource and of the remote endpoint of the last span that has one.
    last_remote: Option<(u32, u32)>,
    scratch: Vec<u8>,
}

/// Encodes spans of one slice, in the order in which they are given.
pub fn encode<'a>(spans: &[&'a Span]) -> std::io::Result<(EncodedBlock, Names)> {
    let unit = if spans.iter().all(|span| span.start_ns % 1000 == 0 && span.duration_ns % 1000 == 0) { 1000 } else { 1 };
    let mut builder = Builder::<'a>::default();
    for (row, span) in spans.iter().enumerate() {
        if let Some(next) = spans.get(row + 1) {
            touch(next);
        }
        builder.push(span);
    }
    let mut raw = Vec::with_capacity(spans.len() * 200);
    put(&mut raw, spans.len() as u64);
    put(&mut raw, unit as u64);
    write_times(&mut raw, spans, unit);
    write_parents(&mut raw, spans);
    builder.write(&mut raw);
    let starts = || spans.iter().map(|span| span.start_us());
    let from_us = starts().min().unwrap_or(0);
    let block = EncodedBlock {
        family: Family::SpanBlock,
        slice_s: Family::SpanBlock.slice_at(from_us.div_euclid(1_000_000)).from_s,
        shard: spans.first().map_or(0, |span| (hash(0, &span.trace_id) % super::SHARDS) as i64),
        from_us,
        to_us: starts().max().unwrap_or(0),
        items: spans.len() as u32,
        summary: builder.summary.encode(builder.trace_ids.heap().chunks_exact(16)),
        data: pack(&raw)?,
    };
    Ok((block, builder.summary.names))
}

/// Reads a byte of each text of a span. They lie all over the memory: fetched together they come in the time of one, and
/// one after the other, as the columns want them, they would take most of the time that encoding takes.
fn touch(span: &Span) {
    let first = |text: &str| text.as_bytes().first().copied().unwrap_or(0);
    let value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) | AttributeValue::Json(text) => first(text),
        AttributeValue::Bytes(bytes) => bytes.first().copied().unwrap_or(0),
        AttributeValue::Bool(_) | AttributeValue::Int(_) | AttributeValue::Double(_) => 0,
    };
    let sum = span.attributes.iter().fold(first(&span.name), |sum, (_, text)| sum ^ value(text));
    std::hint::black_box(sum);
}

/// Starts as differences from the span before, and durations.
fn write_times(out: &mut Vec<u8>, spans: &[&Span], unit: i64) {
    let (mut starts, mut durations) = (Vec::with_capacity(spans.len() * 4), Vec::with_capacity(spans.len() * 3));
    let mut before = 0i64;
    for span in spans {
        let start = span.start_ns / unit;
        put_signed(&mut starts, start.wrapping_sub(before));
        put_signed(&mut durations, span.duration_ns / unit);
        before = start;
    }
    put_bytes(out, &starts);
    put_bytes(out, &durations);
}

/// 0 for none, 1 for one that is not in the block, else 2 and how many rows away it is.
fn write_parents(out: &mut Vec<u8>, spans: &[&Span]) {
    let rows: HashMap<[u8; 8], usize, ahash::RandomState> = spans.iter().enumerate().map(|(row, span)| (span.id, row)).collect();
    let (mut codes, mut others) = (Vec::with_capacity(spans.len() * 2), Vec::new());
    for (row, span) in spans.iter().enumerate() {
        match span.parent_id.map(|id| (id, rows.get(&id))) {
            None => codes.push(0),
            Some((_, Some(parent))) => {
                let distance = row as i64 - *parent as i64;
                put(&mut codes, super::wire::zigzag(distance) + 2);
            }
            Some((id, None)) => {
                codes.push(1);
                others.extend_from_slice(&id);
            }
        }
    }
    put_bytes(out, &codes);
    put_bytes(out, &others);
}

impl<'a> Builder<'a> {
    fn push(&mut self, span: &'a Span) {
        self.flags.push(flags(span));
        self.trace_ids.push(&span.trace_id, || &span.trace_id);
        self.ids.extend_from_slice(&span.id);
        let resource = self.push_names(span);
        self.push_endpoints(span, resource);
        self.messages.push(span.status_message.as_bytes(), || span.status_message.as_bytes());
        self.trace_states.push(span.trace_state.as_bytes(), || span.trace_state.as_bytes());
        put(&mut self.w3c_flags, u64::from(span.flags));
        self.attributes.push(&span.attributes, &mut self.summary.tokens);
        self.push_events(span);
        self.summary.duration(span.duration_ns);
        self.summary.has_error |= span.is_error;
        self.summary.has_success |= !span.is_error;
    }

    /// Id of the resource.
    fn push_names(&mut self, span: &'a Span) -> u32 {
        let known = self.resource.take().filter(|(last, _)| Arc::ptr_eq(last, &span.resource));
        let (_, bytes) = known.unwrap_or_else(|| {
            self.scratch.clear();
            put_resource(&mut self.scratch, &span.resource);
            (&span.resource, Arc::from(&*self.scratch))
        });
        let (resource, is_new) = self.resources.push(&bytes, || Arc::clone(&bytes));
        if is_new {
            self.summary.tokens.add_all(&span.resource.attributes);
        }
        self.resource = Some((&span.resource, bytes));
        let (name, _) = self.names.push(span.name.as_bytes(), || span.name.as_bytes());
        if self.last_name != Some((resource, name, span.kind)) {
            self.last_name = Some((resource, name, span.kind));
            self.add_name(span);
        }
        let known = self.scope.take().filter(|(last, _)| Arc::ptr_eq(last, &span.scope));
        let (_, bytes) = known.unwrap_or_else(|| {
            self.scratch.clear();
            put_scope(&mut self.scratch, &span.scope);
            (&span.scope, Arc::from(&*self.scratch))
        });
        self.scopes.push(&bytes, || Arc::clone(&bytes));
        self.scope = Some((&span.scope, bytes));
        resource
    }

    fn add_name(&mut self, span: &Span) {
        let operations = &mut self.names_of(span).operations;
        let bit = 1 << span.kind as u8;
        match operations.get_mut(&span.name) {
            Some(kinds) => *kinds |= bit,
            None => drop(operations.insert(span.name.clone(), bit)),
        }
    }

    fn names_of(&mut self, span: &Span) -> &mut ServiceNames {
        self.summary.names.entry(Arc::clone(span.service())).or_default()
    }

    fn push_endpoints(&mut self, span: &Span, resource: u32) {
        self.scratch.clear();
        put_endpoint(&mut self.scratch, &span.local, span.service());
        self.locals.push(&self.scratch, || Arc::from(&*self.scratch));
        if let Some(remote) = &span.remote {
            self.scratch.clear();
            put_endpoint(&mut self.scratch, remote, span.service());
            let (place, is_new) = self.remotes.push(&self.scratch, || Arc::from(&*self.scratch));
            if is_new {
                self.summary.tokens.add_remote(&remote.service);
            }
            if self.last_remote != Some((resource, place)) {
                self.last_remote = Some((resource, place));
                self.add_remote(span, &remote.service);
            }
        }
    }

    fn add_remote(&mut self, span: &Span, remote: &str) {
        if remote.is_empty() {
            return;
        }
        let remotes = &mut self.names_of(span).remotes;
        if !remotes.contains(remote) {
            remotes.insert(remote.to_owned());
        }
    }

    fn push_events(&mut self, span: &'a Span) {
        put(&mut self.event_counts, span.events.len() as u64);
        for event in &span.events {
            put_signed(&mut self.event_times, event.at_ns.wrapping_sub(span.start_ns));
            let name = event.name.as_bytes();
            if self.event_names.push(name, || name).1 {
                self.summary.tokens.add_event(name);
            }
            self.scratch.clear();
            put_attributes(&mut self.scratch, &event.attributes);
            if self.event_attributes.push(&self.scratch, || Arc::from(&*self.scratch)).1 {
                self.summary.tokens.add_all(&event.attributes);
            }
        }
        put(&mut self.link_counts, span.links.len() as u64);
        for link in &span.links {
            self.scratch.clear();
            put_link(&mut self.scratch, link);
            self.links.push(&self.scratch, || Arc::from(&*self.scratch));
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.flags);
        self.trace_ids.write(out);
        put_bytes(out, &self.ids);
        self.names.write(out);
        for owned in [&self.resources, &self.scopes, &self.locals, &self.remotes] {
            owned.write(out);
        }
        self.messages.write(out);
        self.trace_states.write(out);
        put_bytes(out, &self.w3c_flags);
        self.attributes.write(out);
        put_bytes(out, &self.event_counts);
        put_bytes(out, &self.event_times);
        self.event_names.write(out);
        self.event_attributes.write(out);
        put_bytes(out, &self.link_counts);
        self.links.write(out);
    }
}
