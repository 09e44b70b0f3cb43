//! Zipkin's span, and how it becomes one of ours and back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{AttributeValue, Attributes, Endpoint, Resource, Span, SpanEvent, SpanKind};

/// Tags of one span; annotations as well.
const ENTRIES_MAX: usize = 256;
/// Bytes of the value of a tag or an annotation.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the name of a span, a service or a tag.
const NAME_BYTES_MAX: usize = 512;
/// How far a span may begin in the future: clocks differ.
const FUTURE_US_MAX: i64 = 3600 * 1_000_000;

/// As on the wire.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZipkinSpan {
    #[serde(default)]
    pub trace_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    #[serde(default)]
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_endpoint: Option<ZipkinEndpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_endpoint: Option<ZipkinEndpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Vec<ZipkinAnnotation>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZipkinEndpoint {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ZipkinAnnotation {
    pub timestamp: i64,
    pub value: String,
}

/// Why a span was refused; the words are the reasons of `GET /api/ingest`.
pub type Reason = &'static str;

/// Reads one element of the array. `oldest_us` is the begin of the oldest span that is still kept.
pub fn decode(value: Value, now_us: i64, oldest_us: i64) -> Result<Span, Reason> {
    let span: ZipkinSpan = serde_json::from_value(value).map_err(|_| "bad_span")?;
    let trace_id = parse_id::<16>(&span.trace_id).ok_or("bad_trace_id")?;
    let id = parse_id::<8>(&span.id).ok_or("bad_span_id")?;
    let parent_id = parent_id(span.parent_id.as_deref(), id)?;
    let start_us = span.timestamp.filter(|at_us| *at_us != 0).unwrap_or(now_us);
    if start_us < oldest_us {
        return Err("too_old");
    }
    if start_us > now_us.saturating_add(FUTURE_US_MAX) {
        return Err("in_future");
    }
    let duration_us = span.duration.unwrap_or(0);
    if duration_us < 0 {
        return Err("bad_duration");
    }
    let local = endpoint(span.local_endpoint.unwrap_or_default());
    let attributes = tags(span.tags.unwrap_or_default())?;
    let is_failure = |(name, value): &(Arc<str>, AttributeValue)| {
        &**name == "error" && !matches!(value, AttributeValue::Text(text) if &**text == "false")
    };
    let decoded = Span {
        trace_id,
        id,
        parent_id,
        kind: kind(span.kind.as_deref())?,
        shared: span.shared.unwrap_or(false),
        debug: span.debug.unwrap_or(false),
        resource: Arc::new(Resource { service: Arc::clone(&local.service), ..Resource::default() }),
        name: span.name.unwrap_or_default(),
        start_ns: start_us.checked_mul(1000).ok_or("in_future")?,
        duration_ns: duration_us.checked_mul(1000).ok_or("bad_duration")?,
        is_error: attributes.iter().any(is_failure),
        local,
        remote: span.remote_endpoint.map(endpoint).filter(|remote| *remote != Endpoint::default()),
        events: annotations(span.annotations.unwrap_or_default())?,
        attributes,
        ..Span::default()
    };
    let names: [&str; 2] = [&decoded.name, decoded.service()];
    if names.iter().any(|name| name.len() > NAME_BYTES_MAX) { Err("too_large") } else { Ok(decoded) }
}

/// Hex of up to `N` bytes, padded on the left; not all zeros.
pub fn parse_id<const N: usize>(hex: &str) -> Option<[u8; N]> {
    if hex.is_empty() || hex.len() > 2 * N || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let padded = format!("{hex:0>width$}", width = 2 * N);
    let mut id = [0; N];
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&padded[2 * index..2 * index + 2], 16).ok()?;
    }
    (id != [0; N]).then_some(id)
}

/// A span that names itself or nobody as its parent has none.
fn parent_id(text: Option<&str>, id: [u8; 8]) -> Result<Option<[u8; 8]>, Reason> {
    let Some(text) = text.filter(|text| text.bytes().any(|byte| byte != b'0')) else { return Ok(None) };
    let parent = parse_id::<8>(text).ok_or("bad_parent_id")?;
    Ok((parent != id).then_some(parent))
}

fn kind(word: Option<&str>) -> Result<SpanKind, Reason> {
    Ok(match word {
        None | Some("") => SpanKind::Unspecified,
        Some("CLIENT") => SpanKind::Client,
        Some("SERVER") => SpanKind::Server,
        Some("PRODUCER") => SpanKind::Producer,
        Some("CONSUMER") => SpanKind::Consumer,
        Some(_) => return Err("bad_kind"),
    })
}

/// An address or a port that makes no sense is left out: the span is worth more than it.
fn endpoint(endpoint: ZipkinEndpoint) -> Endpoint {
    let parse = |text: Option<String>| text.and_then(|text| text.parse::<IpAddr>().ok());
    Endpoint {
        service: endpoint.service_name.unwrap_or_default().into(),
        ip: parse(endpoint.ipv4).or_else(|| parse(endpoint.ipv6)),
        port: endpoint.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
    }
}

fn tags(tags: BTreeMap<String, Value>) -> Result<Attributes, Reason> {
    if tags.len() > ENTRIES_MAX {
        return Err("too_large");
    }
    tags.into_iter()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => return Err("bad_span"),
            };
            let is_long = name.len() > NAME_BYTES_MAX || value.len() > VALUE_BYTES_MAX;
            if is_long { Err("too_large") } else { Ok((name.into(), AttributeValue::Text(value.into()))) }
        })
        .collect()
}

fn annotations(annotations: Vec<ZipkinAnnotation>) -> Result<Vec<SpanEvent>, Reason> {
    let is_long = annotations.iter().any(|annotation| annotation.value.len() > VALUE_BYTES_MAX);
    if annotations.len() > ENTRIES_MAX || is_long {
        return Err("too_large");
    }
    let event = |annotation: ZipkinAnnotation| SpanEvent {
        // A time that makes no sense is kept as the nearest that can be.
        at_ns: annotation.timestamp.saturating_mul(1000),
        name: annotation.value.into(),
        attributes: Vec::new(),
    };
    Ok(annotations.into_iter().map(event).collect())
}

impl From<Span> for ZipkinSpan {
    fn from(span: Span) -> Self {
        // Zipkin gives back ids as short as they were sent.
        let trace_id = if span.trace_id[..8] == [0; 8] { hex(&span.trace_id[8..]) } else { hex(&span.trace_id) };
        let local = local_endpoint(&span);
        let annotation =
            |event: SpanEvent| ZipkinAnnotation { timestamp: event.at_ns.div_euclid(1000), value: event.name.to_string() };
        let annotations: Vec<_> = span.events.into_iter().map(annotation).collect();
        let text = |(name, value): (Arc<str>, AttributeValue)| (name.to_string(), Value::String(value.to_string()));
        let (start_us, duration_us) = (span.start_ns.div_euclid(1000), span.duration_ns / 1000);
        let mut tags: BTreeMap<_, _> = span.attributes.into_iter().map(text).collect();
        if span.is_error {
            // OTLP tells it by the status.
            tags.entry("error".to_owned()).or_insert(Value::String(span.status_message));
        }
        Self {
            trace_id,
            parent_id: span.parent_id.map(|id| hex(&id)),
            id: hex(&span.id),
            kind: kind_word(span.kind).map(str::to_owned),
            name: Some(span.name).filter(|name| !name.is_empty()),
            timestamp: Some(start_us),
            duration: Some(duration_us).filter(|duration| *duration > 0),
            local_endpoint: Some(wire_endpoint(local)).filter(|local| *local != ZipkinEndpoint::default()),
            remote_endpoint: span.remote.map(wire_endpoint),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            tags: Some(tags).filter(|tags| !tags.is_empty()),
            debug: span.debug.then_some(true),
            shared: span.shared.then_some(true),
        }
    }
}

/// OTLP's spans name their service in the resource only.
fn local_endpoint(span: &Span) -> Endpoint {
    let mut local = span.local.clone();
    if local.service.is_empty() {
        local.service = Arc::clone(span.service());
    }
    local
}

fn kind_word(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Unspecified | SpanKind::Internal => None,
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Server => Some("SERVER"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
    }
}

fn wire_endpoint(endpoint: Endpoint) -> ZipkinEndpoint {
    let (ipv4, ipv6) = match endpoint.ip {
        Some(ip @ IpAddr::V4(_)) => (Some(ip.to_string()), None),
        Some(ip @ IpAddr::V6(_)) => (None, Some(ip.to_string())),
        None => (None, None),
    };
    ZipkinEndpoint {
        service_name: Some(endpoint.service.to_string()).filter(|name| !name.is_empty()),
        ipv4,
        ipv6,
        port: Some(i64::from(endpoint.port)).filter(|port| *port != 0),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW_US: i64 = 1_795_416_100_321_722;

    /// A span that Envoy sent.
    fn envoys() -> Value {
        json!({"traceId":"ab8e2714957101074c7005224e6fd502","id":"4c7005224e6fd502","kind":"CLIENT",
            "name":"reviews.bookinfo.svc.cluster.local:9080/*","timestamp":NOW_US,"duration":6190,
            "localEndpoint":{"serviceName":"productpage.bookinfo","ipv4":"192.0.2.2","port":0},
            "annotations":[{"timestamp":1_795_416_100_328_068_i64,"value":"cr"}],
            "tags":{"component":"proxy","http.status_code":"200","upstream_cluster":"outbound|9080||reviews.bookinfo.svc.cluster.local"}})
    }

    fn with(field: &str, value: Value) -> Result<Span, Reason> {
        let mut span = envoys();
        span[field] = value;
        decode(span, NOW_US, NOW_US - 1_000_000_000)
    }

    #[test]
    fn a_span_of_envoy_comes_back_as_it_was() {
        let span = decode(envoys(), NOW_US, 0).unwrap();
        assert_eq!(span.trace_id, *b"\xab\x8e\x27\x14\x95\x71\x01\x07\x4c\x70\x05\x22\x4e\x6f\xd5\x02");
        assert_eq!((span.kind, &**span.service(), span.is_error), (SpanKind::Client, "productpage.bookinfo", false));
        let mut expected = envoys();
        expected["localEndpoint"] = json!({"serviceName":"productpage.bookinfo","ipv4":"192.0.2.2"});
        assert_eq!(serde_json::to_value(ZipkinSpan::from(span)).unwrap(), expected);
    }

    #[test]
    fn ids_are_padded_and_must_not_be_zero() {
        assert_eq!(parse_id::<8>("1f"), Some([0, 0, 0, 0, 0, 0, 0, 0x1f]));
        assert_eq!(parse_id::<8>("ABC").unwrap()[6..], [0x0a, 0xbc]);
        for bad in ["", "0", "0000000000000000", "xyz", "12345678901234567", "+1"] {
            assert_eq!(parse_id::<8>(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_reason() {
        assert_eq!(with("traceId", json!("0")).unwrap_err(), "bad_trace_id");
        assert_eq!(with("id", json!("no")).unwrap_err(), "bad_span_id");
        assert_eq!(with("parentId", json!("no")).unwrap_err(), "bad_parent_id");
        assert_eq!(with("kind", json!("OTHER")).unwrap_err(), "bad_kind");
        assert_eq!(with("duration", json!(-1)).unwrap_err(), "bad_duration");
        assert_eq!(with("duration", json!("long")).unwrap_err(), "bad_span");
        assert_eq!(with("timestamp", json!(NOW_US - 1_000_000_001)).unwrap_err(), "too_old");
        assert_eq!(with("timestamp", json!(NOW_US + 3_600_000_001_i64)).unwrap_err(), "in_future");
        assert_eq!(with("name", json!("x".repeat(513))).unwrap_err(), "too_large");
        assert_eq!(with("tags", json!({"a": {"b": 1}})).unwrap_err(), "bad_span");
        assert_eq!(decode(json!(7), NOW_US, 0).unwrap_err(), "bad_span");
    }

    #[test]
    fn what_is_missing_is_filled_in() {
        let span = decode(json!({"traceId":"1","id":"2","parentId":"2"}), NOW_US, 0).unwrap();
        assert_eq!((span.start_us(), span.duration_us(), span.parent_id, &**span.service()), (NOW_US, 0, None, ""));
        assert!(with("tags", json!({"error": true})).unwrap().is_error);
        assert!(!with("tags", json!({"error": "false"})).unwrap().is_error);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ -~]{0,80}", number in any::<i64>()) {
            for field in ["traceId", "id", "parentId", "kind", "name", "timestamp", "duration", "tags", "annotations"] {
                let _ = with(field, json!(text));
                let _ = with(field, json!(number));
            }
        }
    }
}
