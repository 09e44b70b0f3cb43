//! Turns one OTLP export of traces into spans, refusing those that cannot be.
//!
//! The generated types would be read first and converted then: every text, id and attribute twice in memory. Here the
//! wire format is read once, straight into spans, and texts that come again and again are shared.

use std::sync::Arc;

use super::attributes::{Fault, Reading};
use crate::ingest::door::{ENTRIES_MAX, ITEM_BYTES_MAX, Judged, NAME_BYTES_MAX, Reason, Times, VALUE_BYTES_MAX};
use crate::ingest::intern::Interner;
use crate::ingest::wire::{Fields, WireError};
use crate::store::{AttributeValue, Attributes, Resource, Scope, Span, SpanEvent, SpanKind, SpanLink};

/// Service of a resource without `service.name`, as the specification calls it.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Reads an `ExportTraceServiceRequest`.
///
/// # Errors
/// When the bytes are no such message. What is wrong with single spans is in the answer.
pub fn decode(request: &[u8], times: Times, interner: &mut Interner) -> Result<Judged<Span>, WireError> {
    let mut export = Export { reading: Reading { interner, cut: 0 }, times, judged: Judged::default() };
    let mut fields = Fields::new(request);
    while let Some((number, field)) = fields.next_field()? {
        if number == 1 {
            export.resource_spans(field.bytes(number)?)?;
        }
    }
    export.judged.cut = export.reading.cut;
    Ok(export.judged)
}

struct Export<'i> {
    reading: Reading<'i>,
    times: Times,
    judged: Judged<Span>,
}

/// A resource or a scope that will not do takes its spans with it.
type Shared<T> = Result<Arc<T>, Reason>;

/// Faults of an item stay with it; those of the message do not.
fn shared<T>(read: Result<T, Fault>) -> Result<Shared<T>, WireError> {
    match read {
        Ok(value) => Ok(Ok(Arc::new(value))),
        Err(Fault::Item(reason)) => Ok(Err(reason)),
        Err(Fault::Wire(error)) => Err(error),
    }
}

impl Export<'_> {
    fn resource_spans(&mut self, message: &[u8]) -> Result<(), WireError> {
        // Fields may come in any order: the spans wait for what they share.
        let (mut resource, mut schema_url): (&[u8], &[u8]) = (&[], &[]);
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => resource = field.bytes(number)?,
                3 => schema_url = field.bytes(number)?,
                _ => {}
            }
        }
        let resource = shared(self.resource(resource, schema_url))?;
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            if number == 2 {
                self.scope_spans(field.bytes(number)?, &resource)?;
            }
        }
        Ok(())
    }

    fn resource(&mut self, message: &[u8], schema_url: &[u8]) -> Result<Resource, Fault> {
        let attributes = self.attributes(message, 1)?;
        let named = attributes.iter().rev().find(|(key, _)| &**key == "service.name");
        let service = match named {
            Some((_, AttributeValue::Text(name))) if !name.is_empty() => Arc::clone(name),
            _ => self.reading.name(UNKNOWN_SERVICE.as_bytes())?,
        };
        Ok(Resource { service, attributes, schema_url: self.reading.value(schema_url)? })
    }

    fn scope_spans(&mut self, message: &[u8], resource: &Shared<Resource>) -> Result<(), WireError> {
        let (mut scope, mut schema_url): (&[u8], &[u8]) = (&[], &[]);
        let mut count = 0;
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => scope = field.bytes(number)?,
                2 => count += 1,
                3 => schema_url = field.bytes(number)?,
                _ => {}
            }
        }
        let scope = shared(self.scope(scope, schema_url))?;
        let (resource, scope) = match (resource, &scope) {
            (Ok(resource), Ok(scope)) => (resource, scope),
            (Err(reason), _) | (_, Err(reason)) => {
                self.judged.refuse_many(reason, count);
                return Ok(());
            }
        };
        self.judged.items.reserve(usize::try_from(count).unwrap_or(0));
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            if number == 2 {
                match self.span(field.bytes(number)?, resource, scope) {
                    Ok(span) => self.judged.items.push(span),
                    Err(Fault::Item(reason)) => self.judged.refuse(reason),
                    Err(Fault::Wire(error)) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn scope(&mut self, message: &[u8], schema_url: &[u8]) -> Result<Scope, Fault> {
        let mut scope = Scope { schema_url: self.reading.value(schema_url)?, ..Scope::default() };
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => scope.name = self.reading.name(field.bytes(number)?)?,
                2 => scope.version = self.reading.name(field.bytes(number)?)?,
                3 => self.attribute(field.bytes(number)?, &mut scope.attributes)?,
                _ => {}
            }
        }
        Ok(scope)
    }

    fn span(&mut self, message: &[u8], resource: &Arc<Resource>, scope: &Arc<Scope>) -> Result<Span, Fault> {
        if message.len() > ITEM_BYTES_MAX {
            return Err(Fault::Item("too_large"));
        }
        let mut span = Span { resource: Arc::clone(resource), scope: Arc::clone(scope), ..Span::default() };
        let (mut trace_id, mut id, mut parent): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let (mut start, mut end) = (0, 0);
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => trace_id = field.bytes(number)?,
                2 => id = field.bytes(number)?,
                3 => span.trace_state = self.reading.string(field.bytes(number)?, VALUE_BYTES_MAX)?,
                4 => parent = field.bytes(number)?,
                5 => span.name = self.reading.string(field.bytes(number)?, NAME_BYTES_MAX)?,
                6 => span.kind = SpanKind::from_number(i64::try_from(field.varint(number)?).unwrap_or(0)),
                7 => start = field.fixed64(number)?,
                8 => end = field.fixed64(number)?,
                9 => {
                    if span.attributes.is_empty() {
                        // Growing step by step would copy them four times.
                        span.attributes.reserve(16);
                    }
                    self.attribute(field.bytes(number)?, &mut span.attributes)?;
                }
                11 => push_bounded(&mut span.events, self.event(field.bytes(number)?)?)?,
                13 => push_bounded(&mut span.links, self.link(field.bytes(number)?)?)?,
                15 => self.status(field.bytes(number)?, &mut span)?,
                16 => span.flags = field.fixed32(number)?,
                _ => {}
            }
        }
        self.identify(&mut span, trace_id, id, parent)?;
        self.time(&mut span, start, end)?;
        Ok(span)
    }

    fn identify(&self, span: &mut Span, trace_id: &[u8], id: &[u8], parent: &[u8]) -> Result<(), Fault> {
        span.trace_id = id_of(trace_id).ok_or(Fault::Item("bad_trace_id"))?;
        span.id = id_of(id).ok_or(Fault::Item("bad_span_id"))?;
        span.parent_id = match parent {
            [] => None,
            // A span that names itself or nobody as its parent has none.
            _ => match <[u8; 8]>::try_from(parent).map_err(|_| Fault::Item("bad_parent_id"))? {
                parent if parent == [0; 8] || parent == span.id => None,
                parent => Some(parent),
            },
        };
        Ok(())
    }

    fn time(&self, span: &mut Span, start: u64, end: u64) -> Result<(), Fault> {
        span.start_ns = i64::try_from(start).map_err(|_| Fault::Item("in_future"))?;
        self.times.check(span.start_ns).map_err(Fault::Item)?;
        // A span that was never ended has no end.
        let duration = if end == 0 { 0 } else { end.checked_sub(start).ok_or(Fault::Item("bad_duration"))? };
        span.duration_ns = i64::try_from(duration).map_err(|_| Fault::Item("bad_duration"))?;
        Ok(())
    }

    fn status(&mut self, message: &[u8], span: &mut Span) -> Result<(), Fault> {
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                2 => span.status_message = self.reading.string(field.bytes(number)?, VALUE_BYTES_MAX)?,
                3 => {
                    let code = field.varint(number)?;
                    (span.is_ok, span.is_error) = (code == 1, code == 2);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn event(&mut self, message: &[u8]) -> Result<SpanEvent, Fault> {
        let mut event = SpanEvent::default();
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                // A time that makes no sense is kept as the nearest that can be.
                1 => event.at_ns = i64::try_from(field.fixed64(number)?).unwrap_or(i64::MAX),
                2 => event.name = self.reading.value(field.bytes(number)?)?,
                3 => self.attribute(field.bytes(number)?, &mut event.attributes)?,
                _ => {}
            }
        }
        Ok(event)
    }

    fn link(&mut self, message: &[u8]) -> Result<SpanLink, Fault> {
        let mut link = SpanLink::default();
        let bad = |_| Fault::Item("bad_link");
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => link.trace_id = field.bytes(number)?.try_into().map_err(bad)?,
                2 => link.span_id = field.bytes(number)?.try_into().map_err(bad)?,
                3 => link.trace_state = self.reading.value(field.bytes(number)?)?,
                4 => self.attribute(field.bytes(number)?, &mut link.attributes)?,
                6 => link.flags = field.fixed32(number)?,
                _ => {}
            }
        }
        Ok(link)
    }

    /// The attributes of a message that has them in one field.
    fn attributes(&mut self, message: &[u8], field_number: u32) -> Result<Attributes, Fault> {
        let mut attributes = Attributes::new();
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            if number == field_number {
                self.attribute(field.bytes(number)?, &mut attributes)?;
            }
        }
        Ok(attributes)
    }

    fn attribute(&mut self, message: &[u8], attributes: &mut Attributes) -> Result<(), Fault> {
        if attributes.len() == ENTRIES_MAX {
            return Err(Fault::Item("too_large"));
        }
        self.reading.attribute(message, attributes)
    }
}

fn push_bounded<T>(entries: &mut Vec<T>, entry: T) -> Result<(), Fault> {
    if entries.len() == ENTRIES_MAX {
        return Err(Fault::Item("too_large"));
    }
    entries.push(entry);
    Ok(())
}

/// An id of the right length that is not all zeros.
fn id_of<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| *id != [0; N])
}

#[cfg(test)]
mod tests;
