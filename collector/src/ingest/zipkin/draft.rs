//! What every spelling of a Zipkin span says, and how it becomes one of ours.

use std::net::IpAddr;
use std::sync::Arc;

use crate::ingest::door::{ENTRIES_MAX, NAME_BYTES_MAX, Reason, Times, VALUE_BYTES_MAX, cut};
use crate::ingest::intern::Interner;
use crate::store::{AttributeValue, Endpoint, Resource, Scope, Span, SpanEvent, SpanKind};

/// Resources of one request that are looked through for one that is known; a sender has one or two services.
const RESOURCES_MAX: usize = 16;

/// A span as it was sent; texts lie where they were read.
#[derive(Debug)]
pub struct Draft<'a> {
    pub trace_id: Option<[u8; 16]>,
    pub id: Option<[u8; 8]>,
    pub parent_id: Result<Option<[u8; 8]>, Reason>,
    pub kind: Result<SpanKind, Reason>,
    pub name: &'a str,
    /// Microseconds since 1970; now without it.
    pub start_us: Option<i64>,
    pub duration_us: i64,
    pub local: DraftEndpoint<'a>,
    pub remote: Option<DraftEndpoint<'a>>,
    pub debug: bool,
    pub shared: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct DraftEndpoint<'a> {
    pub service: &'a str,
    pub ip: Option<IpAddr>,
    pub port: u16,
}

/// Turns the drafts of one request into spans.
pub struct Judge<'i> {
    interner: &'i mut Interner,
    times: Times,
    /// Spans of the request, at most.
    pub items_max: usize,
    resources: Vec<Arc<Resource>>,
    /// Zipkin knows none: all spans share the empty one.
    scope: Arc<Scope>,
    /// Texts that were too long.
    pub cut: u64,
}

impl<'i> Judge<'i> {
    pub fn new(interner: &'i mut Interner, times: Times, items_max: usize) -> Self {
        Self { interner, times, items_max, resources: Vec::new(), scope: Arc::default(), cut: 0 }
    }

    /// # Errors
    /// When the span makes no sense, or has too much.
    pub fn span<'a>(
        &mut self,
        draft: Draft<'a>,
        annotations: impl Iterator<Item = (i64, &'a str)>,
        tags: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Span, Reason> {
        let trace_id = draft.trace_id.ok_or("bad_trace_id")?;
        let id = draft.id.ok_or("bad_span_id")?;
        let start_ns = self.start_ns(draft.start_us)?;
        if draft.duration_us < 0 {
            return Err("bad_duration");
        }
        let local = self.endpoint(draft.local);
        let resource = self.resource(&local.service);
        let mut span = Span {
            trace_id,
            id,
            // A span that names itself or nobody as its parent has none.
            parent_id: draft.parent_id?.filter(|parent| *parent != id && *parent != [0; 8]),
            kind: draft.kind?,
            shared: draft.shared,
            debug: draft.debug,
            name: self.cut(draft.name, NAME_BYTES_MAX).to_owned(),
            start_ns,
            duration_ns: draft.duration_us.checked_mul(1000).ok_or("bad_duration")?,
            local,
            remote: draft.remote.map(|remote| self.endpoint(remote)).filter(|remote| *remote != Endpoint::default()),
            ..Span::of(resource, Arc::clone(&self.scope))
        };
        self.tags(&mut span, tags)?;
        self.annotations(&mut span, annotations)?;
        Ok(span)
    }

    fn start_ns(&self, start_us: Option<i64>) -> Result<i64, Reason> {
        let Some(start_us) = start_us.filter(|at_us| *at_us != 0) else { return Ok(self.times.now_ns) };
        let start_ns = start_us.saturating_mul(1000);
        self.times.check(start_ns).map(|()| start_ns)
    }

    fn tags<'a>(&mut self, span: &mut Span, tags: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Reason> {
        span.attributes.reserve(tags.size_hint().0.min(ENTRIES_MAX));
        for (name, value) in tags {
            if span.attributes.len() == ENTRIES_MAX {
                return Err("too_large");
            }
            span.is_error |= name == "error" && value != "false";
            let name = self.text(name, NAME_BYTES_MAX);
            span.attributes.push((name, AttributeValue::Text(self.text(value, VALUE_BYTES_MAX))));
        }
        Ok(())
    }

    fn annotations<'a>(&mut self, span: &mut Span, all: impl Iterator<Item = (i64, &'a str)>) -> Result<(), Reason> {
        for (at_us, text) in all {
            if span.events.len() == ENTRIES_MAX {
                return Err("too_large");
            }
            // A time that makes no sense is kept as the nearest that can be.
            let at_ns = at_us.saturating_mul(1000);
            span.events.push(SpanEvent { at_ns, name: self.text(text, VALUE_BYTES_MAX), ..SpanEvent::default() });
        }
        Ok(())
    }

    fn endpoint(&mut self, endpoint: DraftEndpoint<'_>) -> Endpoint {
        let DraftEndpoint { service, ip, port } = endpoint;
        Endpoint { service: self.text(service, NAME_BYTES_MAX), ip, port }
    }

    fn resource(&mut self, service: &Arc<str>) -> Arc<Resource> {
        if let Some(known) = self.resources.iter().find(|known| known.service == *service) {
            return Arc::clone(known);
        }
        let resource = Arc::new(Resource { service: Arc::clone(service), ..Resource::default() });
        if self.resources.len() < RESOURCES_MAX {
            self.resources.push(Arc::clone(&resource));
        }
        resource
    }

    fn cut<'a>(&mut self, text: &'a str, limit: usize) -> &'a str {
        let (text, was_cut) = cut(text, limit);
        self.cut += u64::from(was_cut);
        text
    }

    fn text(&mut self, text: &str, limit: usize) -> Arc<str> {
        let text = self.cut(text, limit);
        self.interner.share(text)
    }
}

/// Hex of up to `N` bytes, padded on the left; not all zeros.
pub fn parse_id<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits = hex.as_bytes();
    if digits.is_empty() || digits.len() > 2 * N {
        return None;
    }
    let mut id = [0; N];
    for (place, digit) in digits.iter().rev().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        id[N - 1 - place / 2] |= value << (4 * (place % 2));
    }
    (id != [0; N]).then_some(id)
}

/// The id of a parent; of nobody when it is missing or all zeros.
pub fn parse_parent(hex: &str) -> Result<Option<[u8; 8]>, Reason> {
    if hex.bytes().all(|digit| digit == b'0') {
        return Ok(None);
    }
    parse_id(hex).map(Some).ok_or("bad_parent_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_padded_and_must_not_be_zero() {
        assert_eq!(parse_id::<8>("1f"), Some([0, 0, 0, 0, 0, 0, 0, 0x1f]));
        assert_eq!(parse_id::<8>("ABC").unwrap()[6..], [0x0a, 0xbc]);
        assert_eq!(
            parse_id::<16>("ab8e2714957101074c7005224e6fd502").unwrap(),
            *b"\xab\x8e\x27\x14\x95\x71\x01\x07\x4c\x70\x05\x22\x4e\x6f\xd5\x02"
        );
        for bad in ["", "0", "0000000000000000", "xyz", "12345678901234567", "+1", "é1"] {
            assert_eq!(parse_id::<8>(bad), None, "{bad}");
        }
        assert_eq!((parse_parent(""), parse_parent("0000"), parse_parent("x")), (Ok(None), Ok(None), Err("bad_parent_id")));
    }
}
