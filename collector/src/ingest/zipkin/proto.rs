//! Zipkin's protobuf (`zipkin.proto3`), read where it lies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::draft::{Draft, DraftEndpoint, Judge};
use crate::ingest::door::{ENTRIES_MAX, Judged, Reason, Refusal};
use crate::ingest::wire::{Fields, WireError};
use crate::store::{Span, SpanKind};

/// Reads a `ListOfSpans`.
///
/// # Errors
/// When the bytes are no such message.
pub fn decode(body: &[u8], judge: &mut Judge<'_>) -> Result<Judged<Span>, Refusal> {
    list(body, judge).map_err(|error| Refusal::undecodable(format!("expected a ListOfSpans: {error}")))
}

fn list(body: &[u8], judge: &mut Judge<'_>) -> Result<Judged<Span>, WireError> {
    let mut judged = Judged::up_to(judge.items_max);
    let mut fields = Fields::new(body);
    while let Some((number, field)) = fields.next_field()? {
        if number == 1 {
            match span(field.bytes(number)?, judge) {
                Err(Fault::Wire(error)) => return Err(error),
                Err(Fault::Span(reason)) => judged.refuse(reason),
                Ok(span) => judged.push(Ok(span)),
            }
        }
    }
    Ok(judged)
}

enum Fault {
    Wire(WireError),
    Span(Reason),
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

fn span(message: &[u8], judge: &mut Judge<'_>) -> Result<Span, Fault> {
    let mut draft = Draft {
        trace_id: None,
        id: None,
        parent_id: Ok(None),
        kind: Ok(SpanKind::Unspecified),
        name: "",
        start_us: None,
        duration_us: 0,
        local: DraftEndpoint::default(),
        remote: None,
        debug: false,
        shared: false,
    };
    let (mut annotations, mut tags) = (Vec::new(), Vec::new());
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 => draft.trace_id = trace_id(field.bytes(number)?),
            2 => draft.parent_id = parent_id(field.bytes(number)?),
            3 => draft.id = id(field.bytes(number)?),
            4 => draft.kind = kind(field.varint(number)?),
            5 => draft.name = text(field.bytes(number)?)?,
            6 => draft.start_us = Some(i64::try_from(field.fixed64(number)?).unwrap_or(i64::MAX)),
            7 => draft.duration_us = i64::try_from(field.varint(number)?).map_err(|_| Fault::Span("bad_duration"))?,
            8 => draft.local = endpoint(field.bytes(number)?)?,
            9 => draft.remote = Some(endpoint(field.bytes(number)?)?),
            10 => push(&mut annotations, annotation(field.bytes(number)?)?)?,
            11 => push(&mut tags, tag(field.bytes(number)?)?)?,
            12 => draft.debug = field.varint(number)? != 0,
            13 => draft.shared = field.varint(number)? != 0,
            _ => {}
        }
    }
    judge.span(draft, annotations.into_iter(), tags.into_iter()).map_err(Fault::Span)
}

fn push<T>(entries: &mut Vec<T>, entry: T) -> Result<(), Fault> {
    if entries.len() == ENTRIES_MAX {
        return Err(Fault::Span("too_large"));
    }
    entries.push(entry);
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Span("bad_utf8"))
}

/// Of 16 bytes, or of the last 8.
fn trace_id(bytes: &[u8]) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    match bytes.len() {
        16 => id.copy_from_slice(bytes),
        8 => id[8..].copy_from_slice(bytes),
        _ => return None,
    }
    (id != [0; 16]).then_some(id)
}

fn id(bytes: &[u8]) -> Option<[u8; 8]> {
    bytes.try_into().ok().filter(|id| *id != [0; 8])
}

fn parent_id(bytes: &[u8]) -> Result<Option<[u8; 8]>, Reason> {
    if bytes.is_empty() { Ok(None) } else { bytes.try_into().map(Some).map_err(|_| "bad_parent_id") }
}

fn kind(number: u64) -> Result<SpanKind, Reason> {
    Ok(match number {
        0 => SpanKind::Unspecified,
        1 => SpanKind::Client,
        2 => SpanKind::Server,
        3 => SpanKind::Producer,
        4 => SpanKind::Consumer,
        _ => return Err("bad_kind"),
    })
}

fn endpoint(message: &[u8]) -> Result<DraftEndpoint<'_>, Fault> {
    let mut endpoint = DraftEndpoint::default();
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 => endpoint.service = text(field.bytes(number)?)?,
            // An address or a port that makes no sense is left out: the span is worth more than it.
            2 => endpoint.ip = <[u8; 4]>::try_from(field.bytes(number)?).ok().map(|ip| IpAddr::V4(Ipv4Addr::from(ip))),
            3 if endpoint.ip.is_none() => {
                endpoint.ip = <[u8; 16]>::try_from(field.bytes(number)?).ok().map(|ip| IpAddr::V6(Ipv6Addr::from(ip)));
            }
            4 => endpoint.port = u16::try_from(field.varint(number)?).unwrap_or(0),
            _ => {}
        }
    }
    Ok(endpoint)
}

fn annotation(message: &[u8]) -> Result<(i64, &str), Fault> {
    let mut annotation = (0, "");
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 => annotation.0 = i64::try_from(field.fixed64(number)?).unwrap_or(i64::MAX),
            2 => annotation.1 = text(field.bytes(number)?)?,
            _ => {}
        }
    }
    Ok(annotation)
}

/// An entry of a map.
fn tag(message: &[u8]) -> Result<(&str, &str), Fault> {
    let mut tag = ("", "");
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 => tag.0 = text(field.bytes(number)?)?,
            2 => tag.1 = text(field.bytes(number)?)?,
            _ => {}
        }
    }
    Ok(tag)
}
