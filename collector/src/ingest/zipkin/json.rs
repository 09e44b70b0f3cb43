//! Zipkin v2 JSON, read where it lies.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::draft::{Draft, DraftEndpoint, Judge, parse_id, parse_parent};
use crate::ingest::door::{Judged, Reason, Refusal};
use crate::store::{Span, SpanKind};

/// A way to write spans in JSON.
pub trait Spelling {
    type Span<'a>: Deserialize<'a>;

    /// Turns what was read into spans.
    fn judge(span: &Self::Span<'_>, judge: &mut Judge<'_>, judged: &mut Judged<Span>);
}

/// Reads an array in one go when all of it is well-formed; otherwise element by element, so that one that is not harms
/// no other. Only one element is in memory at a time: as it is read it takes a hundred times what `{}` takes.
///
/// # Errors
/// When the body is no JSON array.
pub fn decode<S: Spelling>(body: &[u8], judge: &mut Judge<'_>) -> Result<Judged<Span>, Refusal> {
    let cut = judge.cut;
    if let Ok(judged) = array::<S>(body, judge, true) {
        return Ok(judged);
    }
    judge.cut = cut;
    array::<S>(body, judge, false).map_err(|error| Refusal::undecodable(format!("expected a JSON array of spans: {error}")))
}

fn array<S: Spelling>(body: &[u8], judge: &mut Judge<'_>, all_are_good: bool) -> serde_json::Result<Judged<Span>> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let judged = Judged::up_to(judge.items_max);
    let judged = reader.deserialize_seq(Elements { judge, judged, all_are_good, spelling: PhantomData::<S> })?;
    reader.end().map(|()| judged)
}

/// Judges the elements of an array as they come.
struct Elements<'j, 'i, S> {
    judge: &'j mut Judge<'i>,
    judged: Judged<Span>,
    /// One that is not is an error; otherwise it is refused.
    all_are_good: bool,
    spelling: PhantomData<S>,
}

impl<'de, S: Spelling> Visitor<'de> for Elements<'_, '_, S> {
    type Value = Judged<Span>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Self::Value, A::Error> {
        if self.all_are_good {
            while let Some(span) = elements.next_element::<S::Span<'de>>()? {
                S::judge(&span, self.judge, &mut self.judged);
            }
            return Ok(self.judged);
        }
        while let Some(text) = elements.next_element::<&'de RawValue>()? {
            match serde_json::from_str::<S::Span<'de>>(text.get()) {
                Ok(span) => S::judge(&span, self.judge, &mut self.judged),
                Err(_) => self.judged.refuse("bad_span"),
            }
        }
        Ok(self.judged)
    }
}

/// Zipkin v2.
pub struct V2;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JsonSpan<'a> {
    #[serde(borrow)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    parent_id: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    timestamp: Option<i64>,
    duration: Option<i64>,
    #[serde(borrow)]
    local_endpoint: Option<JsonEndpoint<'a>>,
    #[serde(borrow)]
    remote_endpoint: Option<JsonEndpoint<'a>>,
    #[serde(borrow)]
    annotations: Option<Vec<JsonAnnotation<'a>>>,
    #[serde(borrow)]
    tags: Option<Tags<'a>>,
    debug: Option<bool>,
    shared: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JsonEndpoint<'a> {
    #[serde(borrow)]
    pub service_name: Option<Text<'a>>,
    #[serde(borrow)]
    ipv4: Option<Text<'a>>,
    #[serde(borrow)]
    ipv6: Option<Text<'a>>,
    port: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct JsonAnnotation<'a> {
    timestamp: i64,
    #[serde(borrow)]
    value: Text<'a>,
}

impl Spelling for V2 {
    type Span<'a> = JsonSpan<'a>;

    fn judge(span: &JsonSpan<'_>, judge: &mut Judge<'_>, judged: &mut Judged<Span>) {
        let draft = Draft {
            trace_id: parse_id(text(&span.trace_id)),
            id: parse_id(text(&span.id)),
            parent_id: parse_parent(text(&span.parent_id)),
            kind: kind(text(&span.kind)),
            name: text(&span.name),
            start_us: span.timestamp,
            duration_us: span.duration.unwrap_or(0),
            local: span.local_endpoint.as_ref().map(JsonEndpoint::draft).unwrap_or_default(),
            remote: span.remote_endpoint.as_ref().map(JsonEndpoint::draft),
            debug: span.debug.unwrap_or(false),
            shared: span.shared.unwrap_or(false),
        };
        let annotations = span.annotations.iter().flatten().map(|annotation| (annotation.timestamp, annotation.value.as_str()));
        let tags = span.tags.as_ref().map_or(&[][..], |tags| &tags.0).iter().map(|(name, value)| (name.as_str(), value.as_str()));
        judged.push(judge.span(draft, annotations, tags));
    }
}

/// Empty when it was not told.
pub fn text<'a>(text: &'a Option<Text<'_>>) -> &'a str {
    text.as_ref().map_or("", Text::as_str)
}

fn kind(word: &str) -> Result<SpanKind, Reason> {
    Ok(match word {
        "" => SpanKind::Unspecified,
        "CLIENT" => SpanKind::Client,
        "SERVER" => SpanKind::Server,
        "PRODUCER" => SpanKind::Producer,
        "CONSUMER" => SpanKind::Consumer,
        _ => return Err("bad_kind"),
    })
}

impl JsonEndpoint<'_> {
    /// An address or a port that makes no sense is left out: the span is worth more than it.
    pub fn draft(&self) -> DraftEndpoint<'_> {
        DraftEndpoint {
            service: text(&self.service_name),
            ip: text(&self.ipv4).parse().or_else(|_| text(&self.ipv6).parse()).ok(),
            port: self.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
        }
    }
}

/// A text that is copied only when the JSON escapes something in it.
#[derive(Debug, Default)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor { takes_all: false }).map(Self)
    }
}

/// The value of a tag: a text, though some write numbers and flags.
#[derive(Debug)]
pub struct TagValue<'a>(Cow<'a, str>);

impl TagValue<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TagValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor { takes_all: true }).map(Self)
    }
}

struct TextVisitor {
    takes_all: bool,
}

impl TextVisitor {
    fn written<'a, E: Error>(&self, value: impl fmt::Display) -> Result<Cow<'a, str>, E> {
        if self.takes_all { Ok(Cow::Owned(value.to_string())) } else { Err(E::custom("expected a text")) }
    }
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        self.written(flag)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.written(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.written(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        // As JSON writes it: `1.0`, not `1`.
        self.written(Value::from(number))
    }
}

/// Tags in the order in which they were written.
#[derive(Debug, Default)]
struct Tags<'a>(Vec<(Text<'a>, TagValue<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Tags<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagsVisitor;

        impl<'de> Visitor<'de> for TagsVisitor {
            type Value = Vec<(Text<'de>, TagValue<'de>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // Envoy's spans have about twenty.
                let mut tags = Vec::with_capacity(24);
                while let Some(tag) = map.next_entry()? {
                    tags.push(tag);
                }
                Ok(tags)
            }
        }

        deserializer.deserialize_map(TagsVisitor).map(Tags)
    }
}
