//! Traces as the dashboard asks for them and reads them.

use sidelight_api::trace::{
    Trace, TraceEvent, TraceLink, TraceOddity, TraceRoot, TraceSegment, TraceService, TraceSpan, TraceSummary, TraceTag,
};

use super::params::{ParamError, Params};
use crate::pipeline::traces::{Assembly, assemble};
use crate::store::{AttributeValue, Span, SpanKind, TraceQuery};

/// Traces of a list without being told.
const LIMIT: usize = 20;
/// Traces of a list at most.
pub const LIMIT_MAX: usize = 200;
/// Seconds that a search looks back without being told.
const LOOKBACK_S: u64 = 3600;
/// Conditions on tags of one search.
const TAGS_MAX: usize = 16;

/// A search, and how many traces were asked for.
pub fn read_query(params: &Params, now_ms: i64) -> Result<TraceQuery, ParamError> {
    let to_ms = params.time_ms("queryTime", now_ms)?;
    let lookback_ms = i64::try_from(params.duration_s("duration", LOOKBACK_S)?).unwrap_or(i64::MAX).saturating_mul(1000);
    let annotations = read_tags(params)?;
    let (min, max) = (read_duration_us(params, "minDuration")?, read_duration_us(params, "maxDuration")?);
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(ParamError::new("maxDuration", "is shorter than minDuration"));
    }
    Ok(TraceQuery {
        service: params.filled("service").map(str::to_owned),
        remote_service: params.filled("remoteService").map(str::to_owned),
        name: params.filled("operation").map(str::to_owned),
        duration_us_min: min,
        duration_us_max: max,
        annotations,
        is_error: params.flag("errors", false)?.then_some(true),
        from_us: to_ms.saturating_sub(lookback_ms).saturating_mul(1000),
        // The millisecond that was asked for belongs to the answer.
        to_us: to_ms.saturating_add(1).saturating_mul(1000),
        limit: read_limit(params)?,
        ..TraceQuery::default()
    })
}

/// 1 to 32 hexadecimal digits, padded on the left.
#[must_use]
pub fn read_id(text: &str) -> Option<[u8; 16]> {
    let is_hex = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)).flatten()
}

fn read_limit(params: &Params) -> Result<usize, ParamError> {
    let Some(text) = params.filled("limit") else { return Ok(LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| ParamError::new("limit", format!("`{text}` is not a number from 1 to {LIMIT_MAX}")))
}

/// `http.method=GET and error`
fn read_tags(params: &Params) -> Result<Vec<(String, Option<String>)>, ParamError> {
    let terms = params.get("tags").unwrap_or_default().split(" and ").map(str::trim).filter(|term| !term.is_empty());
    let tags: Vec<_> = terms
        .map(|term| match term.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
            None => (term.to_owned(), None),
        })
        .collect();
    if tags.len() > TAGS_MAX {
        return Err(ParamError::new("tags", format!("has more than {TAGS_MAX} conditions")));
    }
    Ok(tags)
}

/// `1.5ms`, `200us`, `2s`, or microseconds.
fn read_duration_us(params: &Params, name: &str) -> Result<Option<i64>, ParamError> {
    let Some(text) = params.filled(name) else { return Ok(None) };
    let units = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6), ("h", 3600e6)];
    let (number, scale) = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale))).unwrap_or((text, 1.0));
    let us = number.trim().parse::<f64>().ok().map(|number| number * scale).filter(|us| (0.0..9e15).contains(us));
    match us {
        Some(us) => Ok(Some(us.round() as i64)),
        None => Err(ParamError::new(name, format!("`{text}` is not a duration such as 200us, 1.5ms or 2s"))),
    }
}

/// `None` without spans.
#[must_use]
pub fn summary(spans: &[Span], is_cut: bool) -> Option<TraceSummary> {
    summary_of(spans, &assemble(spans), is_cut)
}

/// `None` without spans.
#[must_use]
pub fn whole(spans: &[Span], is_cut: bool) -> Option<Trace> {
    let assembly = assemble(spans);
    let summary = summary_of(spans, &assembly, is_cut)?;
    let mut place_of = vec![0; spans.len()];
    for (place, node) in assembly.nodes.iter().enumerate() {
        place_of[node.span] = place;
    }
    let critical_path = assembly
        .critical_path
        .iter()
        .map(|part| TraceSegment { span: place_of[part.span], from_us: part.from_ns / 1000, to_us: part.to_ns / 1000 })
        .collect();
    let spans = assembly
        .nodes
        .iter()
        .map(|node| TraceSpan {
            parent: node.parent,
            depth: node.depth,
            start_us: node.start_ns / 1000,
            duration_us: node.duration_ns / 1000,
            skew_us: node.skew_ns / 1000,
            critical_us: node.critical_ns / 1000,
            ..said(&spans[node.span], node.skew_ns)
        })
        .collect();
    Some(Trace { summary, spans, critical_path })
}

fn summary_of(spans: &[Span], assembly: &Assembly<'_>, is_cut: bool) -> Option<TraceSummary> {
    let root = &spans[assembly.root?];
    let service = |service: &crate::pipeline::traces::Service<'_>| TraceService {
        service: service.name.to_owned(),
        spans: service.spans,
        errors: service.errors,
        critical_us: service.critical_ns / 1000,
    };
    let mut oddities = assembly.oddities.clone();
    if is_cut {
        oddities.push(TraceOddity::Cut);
    }
    Some(TraceSummary {
        trace_id: hex(&root.trace_id),
        start_us: assembly.start_ns / 1000,
        duration_us: assembly.duration_ns / 1000,
        root: TraceRoot {
            span_id: hex(&root.id),
            service: root.service().to_string(),
            name: root.name.clone(),
            duration_us: root.duration_ns.max(0) / 1000,
            is_error: root.is_error,
        },
        spans: spans.len() as u64,
        errors: assembly.errors,
        services: assembly.services.iter().map(service).collect(),
        oddities,
    })
}

/// What the span itself says; its events are moved with its clock.
fn said(span: &Span, skew_ns: i64) -> TraceSpan {
    TraceSpan {
        span_id: hex(&span.id),
        parent_id: span.parent_id.map(|id| hex(&id)),
        service: span.service().to_string(),
        name: span.name.clone(),
        kind: kind(span.kind).to_owned(),
        is_error: span.is_error,
        status_message: span.status_message.clone(),
        remote: remote(span),
        tags: tags(&span.attributes),
        resource: tags(&span.resource.attributes),
        events: span
            .events
            .iter()
            .map(|event| TraceEvent {
                at_us: event.at_ns.saturating_add(skew_ns) / 1000,
                name: event.name.to_string(),
                tags: tags(&event.attributes),
            })
            .collect(),
        links: span.links.iter().map(|link| TraceLink { trace_id: hex(&link.trace_id), span_id: hex(&link.span_id) }).collect(),
        ..TraceSpan::default()
    }
}

fn tags(attributes: &[(std::sync::Arc<str>, AttributeValue)]) -> Vec<TraceTag> {
    attributes.iter().map(|(key, value)| TraceTag { key: key.to_string(), value: value.to_string() }).collect()
}

fn remote(span: &Span) -> String {
    let Some(remote) = &span.remote else { return String::new() };
    match (&*remote.service, remote.ip, remote.port) {
        ("", Some(ip), 0) => ip.to_string(),
        ("", Some(ip), port) => std::net::SocketAddr::new(ip, port).to_string(),
        (service, _, _) => service.to_owned(),
    }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<TraceQuery, String> {
        read_query(&Params::parse(text), 1_700_000_000_000).map_err(|error| error.to_string())
    }

    #[test]
    fn a_search_is_read() {
        let query = query(
            "service=reviews&operation=GET&tags=a%3Db+and+c&errors=true&minDuration=1.5ms&maxDuration=2s&duration=10m&limit=7",
        )
        .unwrap();
        assert_eq!((query.service.as_deref(), query.name.as_deref()), (Some("reviews"), Some("GET")));
        let expected = [("a", Some("b")), ("c", None)];
        assert_eq!(query.annotations, expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
        assert_eq!((query.duration_us_min, query.duration_us_max, query.limit), (Some(1_500), Some(2_000_000), 7));
        assert_eq!(query.is_error, Some(true));
        assert_eq!((query.from_us, query.to_us), (1_699_999_400_000_000, 1_700_000_000_001_000));
    }

    #[test]
    fn mistakes_name_their_parameter() {
        let mistakes = [
            ("limit=0", "parameter `limit`: `0` is not a number from 1 to 200"),
            ("minDuration=soon", "parameter `minDuration`: `soon` is not a duration such as 200us, 1.5ms or 2s"),
            ("minDuration=2s&maxDuration=1s", "parameter `maxDuration`: is shorter than minDuration"),
        ];
        for (text, mistake) in mistakes {
            assert_eq!(query(text).unwrap_err(), mistake);
        }
    }

    #[test]
    fn a_trace_is_told_with_places_instead_of_indices() {
        let span = |id: u8, parent_id: Option<u8>, start_us: i64, duration_us: i64| Span {
            trace_id: [0xab; 16],
            id: [id; 8],
            parent_id: parent_id.map(|id| [id; 8]),
            start_ns: start_us * 1000,
            duration_ns: duration_us * 1000,
            attributes: vec![("n".into(), AttributeValue::Int(7))],
            ..Span::default()
        };
        let trace = whole(&[span(2, Some(1), 20, 10), span(1, None, 10, 50)], false).unwrap();
        let places: Vec<_> = trace.spans.iter().map(|span| (span.span_id.as_str(), span.parent, span.critical_us)).collect();
        assert_eq!(places, [("0101010101010101", None, 40), ("0202020202020202", Some(0), 10)]);
        let path: Vec<_> = trace.critical_path.iter().map(|part| (part.span, part.from_us, part.to_us)).collect();
        assert_eq!(path, [(0, 10, 20), (1, 20, 30), (0, 30, 60)]);
        assert_eq!(trace.spans[0].tags, [TraceTag { key: "n".into(), value: "7".into() }]);
        assert_eq!(trace.summary.trace_id, "ab".repeat(16));
        assert_eq!(whole(&[], false), None);
    }
}
