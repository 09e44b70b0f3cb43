//! One log line on its own: of an access log, or of any program that speaks OTLP.

use std::sync::Arc;

use super::builder::LogBlockBuilder;
use super::fields::{NumberField, TextField};
use super::varint::{unzigzag, zigzag};
use crate::store::span::{AttributeValue, Attributes, Resource, Scope};

/// What a program wrote down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRecord {
    /// When it happened, nanoseconds since 1970: of an access log the start of the request. Never 0: who is not told takes
    /// the time at which the line was seen.
    pub time_ns: i64,
    /// When it was seen by whoever collected it; 0 when not told.
    pub observed_ns: i64,
    /// OTLP's number, 1 to 24; 0 when not told.
    pub severity: u8,
    pub severity_text: Arc<str>,
    pub event_name: Arc<str>,
    pub body: Option<AttributeValue>,
    /// Who wrote it.
    pub resource: Arc<Resource>,
    pub scope: Arc<Scope>,
    pub attributes: Attributes,
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    /// As in OTLP.
    pub trace_flags: u32,
    /// Empty unless it is a line of an access log.
    pub access: AccessFields,
}

/// The well-known fields of an access log that a line has, in the order of [`TextField::ALL`] and [`NumberField::ALL`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessFields {
    pub texts: Vec<(TextField, Arc<str>)>,
    pub numbers: Vec<(NumberField, u64)>,
}

impl AccessFields {
    /// Empty when the line does not have it.
    #[must_use]
    pub fn text(&self, field: TextField) -> &str {
        self.texts.iter().find(|(known, _)| *known == field).map_or("", |(_, text)| text)
    }

    #[must_use]
    pub fn number(&self, field: NumberField) -> Option<u64> {
        self.numbers.iter().find(|(known, _)| *known == field).map(|(_, number)| *number)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty()
    }
}

impl LogBlockBuilder {
    /// Adds a line.
    pub fn push(&mut self, record: &LogRecord) {
        for (field, text) in &record.access.texts {
            self.text(*field, text.as_bytes());
        }
        for (field, number) in &record.access.numbers {
            self.number(*field, *number);
        }
        self.text(TextField::SeverityText, record.severity_text.as_bytes());
        self.text(TextField::EventName, record.event_name.as_bytes());
        self.body_of(record);
        let flags = [(NumberField::Severity, u64::from(record.severity)), (NumberField::TraceFlags, record.trace_flags.into())];
        for (field, number) in flags {
            if number > 0 {
                self.number(field, number);
            }
        }
        if record.observed_ns != 0 {
            self.number(NumberField::ObservedDelay, zigzag(record.observed_ns.saturating_sub(record.time_ns)));
        }
        if let Some(trace_id) = record.trace_id {
            self.trace(trace_id, record.span_id);
        }
        for (name, value) in &record.attributes {
            self.attribute(name.as_bytes(), value.into());
        }
        let resource = self.resource(&record.resource);
        let scope = (*record.scope != Scope::default()).then(|| self.scope(&record.scope));
        self.end(record.time_ns, resource, scope);
    }

    fn body_of(&mut self, record: &LogRecord) {
        match &record.body {
            Some(AttributeValue::Text(text)) if !text.is_empty() => self.text(TextField::Body, text.as_bytes()),
            Some(value) => self.body(value.into()),
            None => {}
        }
    }
}

/// When a line was seen, from the field that tells how much later than it happened.
pub(super) fn observed_ns(time_ns: i64, delay: Option<u64>) -> i64 {
    delay.map_or(0, |delay| time_ns.saturating_add(unzigzag(delay)))
}
