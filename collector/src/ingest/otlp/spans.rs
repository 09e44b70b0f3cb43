//! Turns one OTLP export of traces into spans, refusing those that cannot be.
//!
//! The generated types would be read first and converted then: every text, id and attribute twice in memory. Here the
//! wire format is read once, straight into spans, and texts that come again and again are shared.

use std::sync::Arc;

use super::attributes::{Fault, Reading};
use super::export::{self, Origin, ReadItem};
use crate::ingest::door::{ENTRIES_MAX, ITEM_BYTES_MAX, Judged, NAME_BYTES_MAX, Times, VALUE_BYTES_MAX};
use crate::ingest::intern::Interner;
use crate::ingest::wire::{Fields, WireError};
use crate::store::{Span, SpanEvent, SpanKind, SpanLink};

/// Reads an `ExportTraceServiceRequest`.
///
/// # Errors
/// When the bytes are no such message. What is wrong with single spans is in the answer.
pub fn decode(request: &[u8], times: Times, interner: &mut Interner, items_max: usize) -> Result<Judged<Span>, WireError> {
    export::decode(request, &Spans(times), interner, items_max)
}

struct Spans(Times);

impl ReadItem for Spans {
    type Item = Span;

    fn read(
        &self,
        message: &[u8],
        origin: Origin<'_>,
        reading: &mut Reading<'_>,
        judged: &mut Judged<Span>,
    ) -> Result<(), WireError> {
        super::attributes::judge(reading.span(message, origin, self.0), judged)
    }
}

impl Reading<'_> {
    fn span(&mut self, message: &[u8], origin: Origin<'_>, times: Times) -> Result<Span, Fault> {
        if message.len() > ITEM_BYTES_MAX {
            return Err(Fault::Item("too_large"));
        }
        let mut span = Span::of(Arc::clone(origin.resource), Arc::clone(origin.scope));
        span.attributes.reserve_exact(self.usual);
        let (mut trace_id, mut id, mut parent): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let (mut start, mut end) = (0, 0);
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => trace_id = field.bytes(number)?,
                2 => id = field.bytes(number)?,
                3 => span.trace_state = self.string(field.bytes(number)?, VALUE_BYTES_MAX)?,
                4 => parent = field.bytes(number)?,
                5 => span.name = self.string(field.bytes(number)?, NAME_BYTES_MAX)?,
                6 => span.kind = SpanKind::from_number(i64::try_from(field.varint(number)?).unwrap_or(0)),
                7 => start = field.fixed64(number)?,
                8 => end = field.fixed64(number)?,
                9 => self.bounded_attribute(field.bytes(number)?, &mut span.attributes)?,
                11 => push_bounded(&mut span.events, self.event(field.bytes(number)?)?)?,
                13 => push_bounded(&mut span.links, self.link(field.bytes(number)?)?)?,
                15 => self.status(field.bytes(number)?, &mut span)?,
                16 => span.flags = field.fixed32(number)?,
                _ => {}
            }
        }
        self.usual = span.attributes.len();
        identify(&mut span, trace_id, id, parent)?;
        time(&mut span, start, end, times)?;
        Ok(span)
    }

    fn status(&mut self, message: &[u8], span: &mut Span) -> Result<(), Fault> {
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                2 => span.status_message = self.string(field.bytes(number)?, VALUE_BYTES_MAX)?,
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
                2 => event.name = self.value(field.bytes(number)?)?,
                3 => self.bounded_attribute(field.bytes(number)?, &mut event.attributes)?,
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
                3 => link.trace_state = self.value(field.bytes(number)?)?,
                4 => self.bounded_attribute(field.bytes(number)?, &mut link.attributes)?,
                6 => link.flags = field.fixed32(number)?,
                _ => {}
            }
        }
        Ok(link)
    }
}

fn identify(span: &mut Span, trace_id: &[u8], id: &[u8], parent: &[u8]) -> Result<(), Fault> {
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

fn time(span: &mut Span, start: u64, end: u64, times: Times) -> Result<(), Fault> {
    span.start_ns = i64::try_from(start).map_err(|_| Fault::Item("in_future"))?;
    times.check(span.start_ns).map_err(Fault::Item)?;
    // A span that was never ended has no end.
    let duration = if end == 0 { 0 } else { end.checked_sub(start).ok_or(Fault::Item("bad_duration"))? };
    span.duration_ns = i64::try_from(duration).map_err(|_| Fault::Item("bad_duration"))?;
    Ok(())
}

fn push_bounded<T>(entries: &mut Vec<T>, entry: T) -> Result<(), Fault> {
    if entries.len() == ENTRIES_MAX {
        return Err(Fault::Item("too_large"));
    }
    entries.push(entry);
    Ok(())
}

/// An id of the right length that is not all zeros.
pub(super) fn id_of<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| *id != [0; N])
}

#[cfg(test)]
mod tests;
