//! One trace as a waterfall: which rows show, which part of a span was its own, and what its tags say.

use std::collections::BTreeSet;

use sidelight_api::trace::{Trace, TraceSpan};

use super::traces::short_service;

/// Stretches of time, microseconds, oldest first, without overlaps.
pub type Stretches = Vec<(i64, i64)>;

/// What of a trace does not change while it is looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waterfall {
    /// Spans below each one, by its place.
    pub below: Vec<usize>,
    /// When each was not waiting for a child.
    pub own: Vec<Stretches>,
    /// Its part of the critical path.
    pub critical: Vec<Stretches>,
    pub from_us: i64,
    pub to_us: i64,
}

impl Waterfall {
    pub fn new(trace: &Trace) -> Self {
        let spans = &trace.spans;
        let mut critical = vec![Stretches::new(); spans.len()];
        for part in &trace.critical_path {
            if let Some(stretches) = critical.get_mut(part.span) {
                stretches.push((part.from_us, part.to_us));
            }
        }
        let from_us = trace.summary.start_us;
        Self { below: below(spans), own: own(spans), critical, from_us, to_us: from_us + trace.summary.duration_us.max(1) }
    }

    /// Places of the spans that show: those under a folded one do not, nor those that `keeps` leaves out.
    pub fn visible(&self, folded: &BTreeSet<usize>, keeps: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut rows = Vec::new();
        let mut place = 0;
        while place < self.below.len() {
            if keeps(place) {
                rows.push(place);
            }
            place += 1 + if folded.contains(&place) { self.below[place] } else { 0 };
        }
        rows
    }

    pub fn own_us(&self, place: usize) -> i64 {
        self.own.get(place).map_or(0, |stretches| stretches.iter().map(|(from, to)| to - from).sum())
    }
}

/// Parents stand before their children, so adding up from the end sees each child before its parent.
fn below(spans: &[TraceSpan]) -> Vec<usize> {
    let mut below = vec![0; spans.len()];
    for (place, span) in spans.iter().enumerate().rev() {
        if let Some(parent) = span.parent.filter(|parent| *parent < place) {
            below[parent] += below[place] + 1;
        }
    }
    below
}

fn own(spans: &[TraceSpan]) -> Vec<Stretches> {
    let mut children: Vec<Stretches> = vec![Stretches::new(); spans.len()];
    for span in spans {
        if let Some(of_parent) = span.parent.and_then(|parent| children.get_mut(parent)) {
            of_parent.push((span.start_us, span.start_us + span.duration_us));
        }
    }
    spans
        .iter()
        .zip(children)
        .map(|(span, children)| without((span.start_us, span.start_us + span.duration_us), children))
        .collect()
}

/// What is left of a stretch when others are taken out of it.
fn without((from, to): (i64, i64), mut others: Stretches) -> Stretches {
    others.sort_unstable();
    let mut left = Stretches::new();
    let mut at = from;
    for (start, end) in others {
        if start > at {
            left.push((at, start.min(to)));
        }
        at = at.max(end);
        if at >= to {
            return left;
        }
    }
    left.push((at, to));
    left
}

pub fn tag<'a>(span: &'a TraceSpan, key: &str) -> Option<&'a str> {
    span.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str()).filter(|value| !value.is_empty() && *value != "-")
}

/// The first of several spellings: Zipkin's, OpenTelemetry's old and new ones.
fn any_tag<'a>(span: &'a TraceSpan, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| tag(span, key))
}

pub fn code(span: &TraceSpan) -> Option<&str> {
    any_tag(span, &["http.status_code", "http.response.status_code"])
}

pub fn method(span: &TraceSpan) -> Option<&str> {
    any_tag(span, &["http.method", "http.request.method"])
}

/// Envoy's response flags.
pub fn flags(span: &TraceSpan) -> Option<&str> {
    tag(span, "response_flags")
}

pub fn request_id(span: &TraceSpan) -> Option<&str> {
    any_tag(span, &["guid:x-request-id", "http.request.header.x-request-id"])
}

/// The path of the request, without scheme and host.
pub fn path(span: &TraceSpan) -> Option<&str> {
    let url = any_tag(span, &["http.url", "url.full", "http.target", "url.path"])?;
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    if rest.starts_with('/') { Some(rest) } else { rest.find('/').map(|at| &rest[at..]) }
}

/// Whom a client span calls: the service in Envoy's cluster name, or what the other side is called.
pub fn callee(span: &TraceSpan) -> Option<&str> {
    if span.kind != "client" && span.kind != "producer" {
        return None;
    }
    let cluster = tag(span, "upstream_cluster").and_then(|cluster| cluster.rsplit('|').next()).filter(|host| !host.is_empty());
    cluster.map(short_service).or_else(|| Some(span.remote.as_str()).filter(|remote| !remote.is_empty()))
}

/// What every reader of Envoy's spans wants to know, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Answer,
    Method,
    Path,
    Protocol,
    Route,
    Upstream,
    Peer,
    Received,
    Sent,
    Agent,
    RequestId,
}

pub fn facts(span: &TraceSpan) -> Vec<(Fact, String)> {
    let text = |found: Option<&str>| found.map(str::to_owned);
    let facts = [
        (Fact::Answer, text(code(span))),
        (Fact::Method, text(method(span))),
        (Fact::Path, text(path(span))),
        (Fact::Protocol, text(any_tag(span, &["http.protocol", "network.protocol.version"]))),
        (Fact::Route, text(any_tag(span, &["http.route"]))),
        (Fact::Upstream, text(any_tag(span, &["upstream_cluster", "upstream_cluster.name"]))),
        (Fact::Peer, text(any_tag(span, &["peer.address", "network.peer.address", "client.address"]))),
        (Fact::Received, text(any_tag(span, &["request_size", "http.request.body.size"]))),
        (Fact::Sent, text(any_tag(span, &["response_size", "http.response.body.size"]))),
        (Fact::Agent, text(any_tag(span, &["user_agent", "user_agent.original"]))),
        (Fact::RequestId, text(request_id(span))),
    ];
    facts.into_iter().filter_map(|(fact, value)| Some((fact, value?))).collect()
}

/// Whether the text stands in what a row shows, or in a tag.
pub fn mentions(span: &TraceSpan, text: &str) -> bool {
    let text = text.to_lowercase();
    let has = |own: &str| own.to_lowercase().contains(&text);
    has(&span.service) || has(&span.name) || span.tags.iter().any(|tag| has(&tag.value) || has(&tag.key))
}

/// `0`, a step, … up to the end: round steps on the axis of a waterfall.
pub fn axis(length_us: i64, wanted: usize) -> Vec<i64> {
    let rough = (length_us.max(1) as f64 / wanted.max(1) as f64).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough).unwrap_or(power * 10.0);
    let step = (step.round() as i64).max(1);
    (0..).map(|i| i * step).take_while(|at| *at <= length_us).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sidelight_api::trace::{TraceSegment, TraceSummary, TraceTag};

    use super::*;

    fn span(parent: Option<usize>, start_us: i64, duration_us: i64) -> TraceSpan {
        TraceSpan { parent, start_us, duration_us, ..TraceSpan::default() }
    }

    /// root 0..100 → a 10..40 (→ b 20..30), c 30..60
    fn trace() -> Trace {
        Trace {
            summary: TraceSummary { start_us: 0, duration_us: 100, ..TraceSummary::default() },
            spans: vec![span(None, 0, 100), span(Some(0), 10, 30), span(Some(1), 20, 10), span(Some(0), 30, 30)],
            critical_path: vec![
                TraceSegment { span: 0, from_us: 0, to_us: 10 },
                TraceSegment { span: 3, from_us: 30, to_us: 60 },
            ],
        }
    }

    #[test]
    fn what_is_not_spent_waiting_is_a_spans_own() {
        let waterfall = Waterfall::new(&trace());
        assert_eq!(waterfall.own, [vec![(0, 10), (60, 100)], vec![(10, 20), (30, 40)], vec![(20, 30)], vec![(30, 60)]]);
        assert_eq!(waterfall.own_us(0), 50);
        assert_eq!(waterfall.critical[3], [(30, 60)]);
        assert_eq!(without((0, 10), vec![(-5, 20)]), []);
        assert_eq!(without((0, 10), vec![(5, 20), (2, 3)]), [(0, 2), (3, 5)]);
    }

    #[test]
    fn folding_hides_what_is_below() {
        let waterfall = Waterfall::new(&trace());
        assert_eq!(waterfall.below, [3, 1, 0, 0]);
        assert_eq!(waterfall.visible(&BTreeSet::new(), |_| true), [0, 1, 2, 3]);
        assert_eq!(waterfall.visible(&BTreeSet::from([1]), |_| true), [0, 1, 3]);
        assert_eq!(waterfall.visible(&BTreeSet::from([0]), |_| true), [0]);
        assert_eq!(waterfall.visible(&BTreeSet::new(), |place| place == 2), [2]);
    }

    #[test]
    fn envoys_tags_are_read() {
        let tags = [
            ("http.status_code", "504"),
            ("response_flags", "UT"),
            ("http.url", "http://reviews:9080/reviews/0"),
            ("upstream_cluster", "outbound|9080|v2|reviews.bookinfo.svc.cluster.local"),
            ("user_agent", "-"),
        ];
        let tags = tags.map(|(key, value)| TraceTag { key: key.to_owned(), value: value.to_owned() }).to_vec();
        let span = TraceSpan { kind: "client".to_owned(), tags, ..TraceSpan::default() };
        assert_eq!(
            (code(&span), flags(&span), path(&span), callee(&span)),
            (Some("504"), Some("UT"), Some("/reviews/0"), Some("reviews"))
        );
        let told: Vec<Fact> = facts(&span).into_iter().map(|(fact, _)| fact).collect();
        assert_eq!(told, [Fact::Answer, Fact::Path, Fact::Upstream]);
        assert!(mentions(&span, "REVIEWS/0") && !mentions(&span, "ratings"));
    }

    #[test]
    fn the_axis_has_round_steps() {
        assert_eq!(axis(1_142_000, 6), [0, 200_000, 400_000, 600_000, 800_000, 1_000_000]);
        assert_eq!(axis(3, 6), [0, 1, 2, 3]);
        assert_eq!(axis(0, 6), [0]);
    }
}
