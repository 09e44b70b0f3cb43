//! B3 headers, in many and in one, read and written as Envoy's Zipkin tracer does.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Form, Incoming, TraceContext, TraceId};

const B3: HeaderName = HeaderName::from_static("b3");
const TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const PARENT_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");

/// A `b3` header wins over the many.
pub(super) fn extract(headers: &HeaderMap) -> Incoming {
    match headers.get(&B3) {
        Some(value) => value.to_str().ok().and_then(single).unwrap_or(Incoming::Broken),
        None => multi(headers),
    }
}

fn single(value: &str) -> Option<Incoming> {
    let form = Form::Single;
    if value.len() == 1 {
        return Some(Incoming::Bare { form, sampled: Some(state(value)?) });
    }
    // Lengths with ids only, with state, with state and parent; for 64 and for 128 bits.
    if !matches!(value.len(), 33 | 49 | 35 | 51 | 52 | 68) {
        return None;
    }
    let mut parts = value.split('-');
    let trace_id = trace_id(parts.next()?)?;
    let span_id = id(parts.next()?)?;
    let sampled = match parts.next() {
        Some(text) => Some(state(text)?),
        None => None,
    };
    if let Some(parent) = parts.next() {
        id(parent)?;
    }
    parts.next().is_none().then_some(Incoming::Span { form, trace_id, span_id, sampled })
}

fn state(text: &str) -> Option<bool> {
    match text {
        "1" | "d" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

fn multi(headers: &HeaderMap) -> Incoming {
    let text = |name: HeaderName| headers.get(&name).map(|v| v.to_str().unwrap_or("?"));
    let sampled = match text(SAMPLED) {
        Some("1" | "true") => Some(true),
        Some("0" | "false") => Some(false),
        _ => None,
    };
    let form = Form::Multi;
    let (Some(trace), Some(span)) = (text(TRACE_ID), text(SPAN_ID)) else {
        return Incoming::Bare { form, sampled };
    };
    if text(PARENT_ID).is_some_and(|parent| !parent.is_empty() && id(parent).is_none()) {
        return Incoming::Broken;
    }
    match (trace_id(trace), id(span)) {
        (Some(trace_id), Some(span_id)) => Incoming::Span { form, trace_id, span_id, sampled },
        _ => Incoming::Broken,
    }
}

fn trace_id(text: &str) -> Option<TraceId> {
    if text.len() == 32 {
        let (high, low) = (hex(text.get(..16)?)?, hex(text.get(16..)?)?);
        return (high | low != 0).then_some(TraceId { high, low, wide: true });
    }
    id(text).map(|low| TraceId { high: 0, low, wide: false })
}

fn id(text: &str) -> Option<u64> {
    hex(text).filter(|id| *id != 0)
}

fn hex(text: &str) -> Option<u64> {
    let digits = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if digits { u64::from_str_radix(text, 16).ok() } else { None }
}

pub(super) fn inject_multi(context: &TraceContext, headers: &mut HeaderMap) {
    headers.insert(TRACE_ID, value(&context.trace_id.to_string()));
    headers.insert(SPAN_ID, value(&format!("{:016x}", context.span_id)));
    match context.parent_id {
        Some(parent) => headers.insert(PARENT_ID, value(&format!("{parent:016x}"))),
        None => headers.remove(PARENT_ID),
    };
    headers.insert(SAMPLED, HeaderValue::from_static(digit(context.sampled)));
}

pub(super) fn inject_single(context: &TraceContext, headers: &mut HeaderMap) {
    let sampled = digit(context.sampled);
    let mut text = format!("{}-{:016x}-{sampled}", context.trace_id, context.span_id);
    if let Some(parent) = context.parent_id {
        text.push_str(&format!("-{parent:016x}"));
    }
    headers.insert(B3, value(&text));
}

fn digit(sampled: bool) -> &'static str {
    if sampled { "1" } else { "0" }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("hex digits and dashes are legal in a header value")
}
