//! Jaeger's JSON: traces in the shape that its interface reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::model::{JaegerSpan, JaegerTrace, Log, Process, RefType, Reference, Tag, TagValue};
use crate::query::traces::hex;

/// Beyond it JavaScript's numbers are not exact.
const EXACT_MAX: u64 = (1 << 53) - 1;

/// 16 digits where the high half is zero, else 32.
#[must_use]
pub fn trace_id(id: &[u8; 16]) -> String {
    if id[..8] == [0; 8] { hex(&id[8..]) } else { hex(id) }
}

impl Serialize for JaegerTrace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("traceID", &trace_id(&self.trace_id))?;
        map.serialize_entry("spans", &self.spans)?;
        map.serialize_entry("processes", &Processes(&self.processes))?;
        map.serialize_entry("warnings", &some(&self.warnings))?;
        map.end()
    }
}

struct Processes<'a>(&'a [Process]);

impl Serialize for Processes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (place, process) in self.0.iter().enumerate() {
            map.serialize_entry(&process_id(place), process)?;
        }
        map.end()
    }
}

fn process_id(place: usize) -> String {
    format!("p{}", place + 1)
}

impl Serialize for Process {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("serviceName", &self.service)?;
        map.serialize_entry("tags", &self.tags)?;
        map.end()
    }
}

impl Serialize for JaegerSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("traceID", &trace_id(&self.trace_id))?;
        map.serialize_entry("spanID", &hex(&self.id))?;
        if self.flags != 0 {
            map.serialize_entry("flags", &self.flags)?;
        }
        map.serialize_entry("operationName", &self.operation)?;
        map.serialize_entry("references", &self.references)?;
        map.serialize_entry("startTime", &self.start_ns.div_euclid(1000))?;
        map.serialize_entry("duration", &(self.duration_ns / 1000))?;
        map.serialize_entry("tags", &self.tags)?;
        map.serialize_entry("logs", &self.logs)?;
        map.serialize_entry("processID", &process_id(self.process))?;
        map.serialize_entry("warnings", &some(&self.warnings))?;
        map.end()
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ref_type = match self.ref_type {
            RefType::ChildOf => "CHILD_OF",
            RefType::FollowsFrom => "FOLLOWS_FROM",
        };
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("refType", ref_type)?;
        map.serialize_entry("traceID", &trace_id(&self.trace_id))?;
        map.serialize_entry("spanID", &hex(&self.span_id))?;
        map.end()
    }
}

impl Serialize for Log {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("timestamp", &self.at_ns.div_euclid(1000))?;
        map.serialize_entry("fields", &self.fields)?;
        map.end()
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("key", &self.key)?;
        match &self.value {
            TagValue::Text(text) => typed(&mut map, "string", text)?,
            TagValue::Bool(flag) => typed(&mut map, "bool", flag)?,
            TagValue::Int(number) if number.unsigned_abs() > EXACT_MAX => typed(&mut map, "int64", &number.to_string())?,
            TagValue::Int(number) => typed(&mut map, "int64", number)?,
            TagValue::Float(number) => typed(&mut map, "float64", number)?,
            TagValue::Binary(bytes) => typed(&mut map, "binary", &STANDARD.encode(bytes))?,
        }
        map.end()
    }
}

fn typed<M: SerializeMap>(map: &mut M, kind: &str, value: &(impl Serialize + ?Sized)) -> Result<(), M::Error> {
    map.serialize_entry("type", kind)?;
    map.serialize_entry("value", value)
}

fn some(warnings: &Vec<String>) -> Option<&Vec<String>> {
    Some(warnings).filter(|warnings| !warnings.is_empty())
}

/// A list or map of OTLP as plain JSON.
#[must_use]
pub fn plain(value: AnyValue) -> Value {
    let inner = |value: Option<opentelemetry_proto::tonic::common::v1::AnyValue>| {
        value.and_then(|value| value.value).map_or(Value::Null, plain)
    };
    match value {
        AnyValue::StringValue(text) => Value::String(text),
        AnyValue::BoolValue(flag) => Value::Bool(flag),
        AnyValue::IntValue(number) => number.into(),
        AnyValue::DoubleValue(number) if number.fract() == 0.0 && number.abs() < EXACT_MAX as f64 => (number as i64).into(),
        AnyValue::DoubleValue(number) => number.into(),
        AnyValue::BytesValue(bytes) => Value::String(STANDARD.encode(bytes)),
        AnyValue::ArrayValue(list) => Value::Array(list.values.into_iter().map(|value| inner(Some(value))).collect()),
        AnyValue::KvlistValue(list) => Value::Object(list.values.into_iter().map(|pair| (pair.key, inner(pair.value))).collect()),
        // A place in a dictionary of profiles, which spans do not have.
        AnyValue::StringValueStrindex(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trace_is_spelled_as_jaeger_spells_it() {
        let mut id = [0; 16];
        id[15] = 0xab;
        let tag = |key: &str, value: TagValue| Tag { key: key.to_owned(), value };
        let span = JaegerSpan {
            trace_id: id,
            id: [1; 8],
            flags: 0,
            operation: "GET /".to_owned(),
            references: vec![Reference { ref_type: RefType::FollowsFrom, trace_id: [2; 16], span_id: [3; 8] }],
            start_ns: 1_234_567,
            duration_ns: 9_999,
            tags: vec![
                tag("big", TagValue::Int(i64::MIN)),
                tag("int", TagValue::Int(-7)),
                tag("raw", TagValue::Binary(vec![255])),
                tag("share", TagValue::Float(0.5)),
            ],
            logs: vec![Log { at_ns: 2_000, fields: vec![Tag::text("event", "x")] }],
            process: 0,
            warnings: Vec::new(),
        };
        let processes = vec![Process { service: "cart".to_owned(), tags: Vec::new() }];
        let trace = JaegerTrace { trace_id: id, spans: vec![span], processes, warnings: Vec::new() };
        let expected = json!({
            "traceID": "00000000000000ab",
            "spans": [{
                "traceID": "00000000000000ab", "spanID": "0101010101010101", "operationName": "GET /",
                "references": [
                    {"refType": "FOLLOWS_FROM", "traceID": "02020202020202020202020202020202", "spanID": "0303030303030303"}
                ],
                "startTime": 1234, "duration": 9,
                "tags": [
                    {"key": "big", "type": "int64", "value": "-9223372036854775808"},
                    {"key": "int", "type": "int64", "value": -7},
                    {"key": "raw", "type": "binary", "value": "/w=="},
                    {"key": "share", "type": "float64", "value": 0.5}
                ],
                "logs": [{"timestamp": 2, "fields": [{"key": "event", "type": "string", "value": "x"}]}],
                "processID": "p1", "warnings": null
            }],
            "processes": {"p1": {"serviceName": "cart", "tags": []}},
            "warnings": null
        });
        assert_eq!(serde_json::to_value(&trace).unwrap(), expected);
    }
}
