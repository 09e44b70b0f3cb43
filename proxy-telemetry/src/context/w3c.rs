//! `traceparent`, for proxies told to propagate it beside B3.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Form, Incoming, TraceContext, TraceId};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The parent that `traceparent` names; `None` when it is absent or not legal.
pub(super) fn extract(headers: &HeaderMap) -> Option<Incoming> {
    let text = headers.get(&TRACEPARENT)?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = (version.len(), trace.len(), span.len(), flags.len());
    if lengths != (2, 32, 16, 2) || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace_id = TraceId { high: hex(trace.get(..16)?)?, low: hex(trace.get(16..)?)?, wide: true };
    let span_id = hex(span).filter(|id| *id != 0)?;
    let flags = hex(flags)?;
    (trace_id.high | trace_id.low != 0).then_some(Incoming::Span {
        form: Form::Multi,
        trace_id,
        span_id,
        sampled: Some(flags & 1 == 1),
    })
}

fn hex(text: &str) -> Option<u64> {
    // Upper case is not legal here, unlike in B3.
    let legal = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if legal { u64::from_str_radix(text, 16).ok() } else { None }
}

pub(super) fn inject(context: &TraceContext, headers: &mut HeaderMap) {
    let (high, low) = (context.trace_id.high, context.trace_id.low);
    let flags = u8::from(context.sampled);
    let text = format!("00-{high:016x}{low:016x}-{:016x}-{flags:02x}", context.span_id);
    let value = HeaderValue::from_str(&text).expect("hex digits and dashes are legal in a header value");
    headers.insert(TRACEPARENT, value);
}
