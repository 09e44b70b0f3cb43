//! What a rule asks of one span. It is looked at when the span is stored; the judge only learns that some span met it.

use std::ops::RangeInclusive;

use crate::store::span_block::hash_name;
use crate::store::{AttributeValue, Span};

/// Where the status of an HTTP answer is found, in the order in which they are looked for.
const HTTP_STATUS: [&str; 2] = ["http.response.status_code", "http.status_code"];
/// Where gRPC's status is found.
const GRPC_STATUS: [&str; 2] = ["rpc.grpc.status_code", "grpc.status_code"];
/// Seed of the names of conditions.
const SEED: u64 = 0x7461_696c;

/// A text, or the begin of one with `*` behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    is_begin: bool,
}

impl Pattern {
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(begin) => Self { text: begin.to_owned(), is_begin: true },
            None => Self { text: text.to_owned(), is_begin: false },
        }
    }

    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        if self.is_begin { text.starts_with(&self.text) } else { text == self.text }
    }
}

/// What counts as a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Statuses of HTTP, beside spans that say that they failed.
    pub http: Vec<RangeInclusive<u16>>,
    pub grpc: Vec<RangeInclusive<u16>>,
}

/// All of it must hold for one and the same span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    pub service: Option<Pattern>,
    pub operation: Option<Pattern>,
    /// With this value; with any where it is `None`.
    pub attributes: Vec<(String, Option<Pattern>)>,
    pub failure: Option<Failure>,
    pub longer_than_us: Option<i64>,
}

impl Condition {
    /// Every span meets it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Names what is asked, the same in every process.
    #[must_use]
    pub fn name(&self) -> u64 {
        hash_name(SEED, format!("{self:?}").as_bytes())
    }

    #[must_use]
    pub fn is_met(&self, span: &Span) -> bool {
        self.longer_than_us.is_none_or(|bound| span.duration_us() > bound)
            && self.failure.as_ref().is_none_or(|failure| failure.is_seen(span))
            && self.service.as_ref().is_none_or(|service| service.matches(span.service()))
            && self.operation.as_ref().is_none_or(|operation| operation.matches(&span.name))
            && self.attributes.iter().all(|(name, value)| has(span, name, value.as_ref()))
    }
}

impl Failure {
    fn is_seen(&self, span: &Span) -> bool {
        let has_status = |names: [&str; 2], ranges: &[RangeInclusive<u16>]| {
            !ranges.is_empty()
                && names
                    .into_iter()
                    .find_map(|name| span.attribute(name))
                    .and_then(status)
                    .is_some_and(|status| ranges.iter().any(|range| range.contains(&status)))
        };
        span.is_error || has_status(HTTP_STATUS, &self.http) || has_status(GRPC_STATUS, &self.grpc)
    }
}

fn status(value: &AttributeValue) -> Option<u16> {
    match value {
        AttributeValue::Int(number) => u16::try_from(*number).ok(),
        AttributeValue::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// Of the span, or else of whoever made it.
fn has(span: &Span, name: &str, wanted: Option<&Pattern>) -> bool {
    let own = span.attribute(name);
    let value = own.or_else(|| span.resource.attributes.iter().rev().find(|(known, _)| **known == *name).map(|(_, value)| value));
    match (value, wanted) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(AttributeValue::Text(text)), Some(wanted)) => wanted.matches(text),
        (Some(value), Some(wanted)) => wanted.matches(&value.to_string()),
    }
}
