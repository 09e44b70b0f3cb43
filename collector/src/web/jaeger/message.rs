//! Jaeger's model of a trace as messages of its gRPC service.

use prost_types::{Duration, Timestamp};

use super::proto;
use crate::query::jaeger::model::{JaegerSpan, JaegerTrace, Log, Process, RefType, Reference, Tag, TagValue};

const NS_PER_S: i64 = 1_000_000_000;
/// Spans of one message of a stream.
const CHUNK_SPANS: usize = 100;

/// The spans of traces in chunks, each of one trace, made when it is their turn to be sent.
pub fn chunks(traces: Vec<JaegerTrace>) -> impl Iterator<Item = proto::SpansChunk> + Send {
    traces.into_iter().flat_map(|trace| {
        let JaegerTrace { spans, processes, .. } = trace;
        let processes: Vec<proto::Process> = processes.into_iter().map(process).collect();
        let mut spans = spans.into_iter();
        std::iter::from_fn(move || {
            let chunk: Vec<_> = spans.by_ref().take(CHUNK_SPANS).map(|one| span(one, &processes)).collect();
            (!chunk.is_empty()).then_some(proto::SpansChunk { spans: chunk })
        })
    })
}

fn span(span: JaegerSpan, processes: &[proto::Process]) -> proto::Span {
    proto::Span {
        trace_id: span.trace_id.to_vec(),
        span_id: span.id.to_vec(),
        operation_name: span.operation,
        references: span.references.into_iter().map(reference).collect(),
        flags: span.flags,
        start_time: Some(timestamp(span.start_ns)),
        duration: Some(Duration { seconds: span.duration_ns / NS_PER_S, nanos: (span.duration_ns % NS_PER_S) as i32 }),
        tags: span.tags.into_iter().map(key_value).collect(),
        logs: span.logs.into_iter().map(log).collect(),
        process: processes.get(span.process).cloned(),
        warnings: span.warnings,
    }
}

fn reference(reference: Reference) -> proto::SpanRef {
    let ref_type = match reference.ref_type {
        RefType::ChildOf => 0,
        RefType::FollowsFrom => 1,
    };
    proto::SpanRef { trace_id: reference.trace_id.to_vec(), span_id: reference.span_id.to_vec(), ref_type }
}

fn log(log: Log) -> proto::Log {
    proto::Log { timestamp: Some(timestamp(log.at_ns)), fields: log.fields.into_iter().map(key_value).collect() }
}

fn process(process: Process) -> proto::Process {
    proto::Process { service_name: process.service, tags: process.tags.into_iter().map(key_value).collect() }
}

fn key_value(tag: Tag) -> proto::KeyValue {
    let typed = |v_type| proto::KeyValue { key: String::new(), v_type, ..proto::KeyValue::default() };
    let value = match tag.value {
        TagValue::Text(v_str) => proto::KeyValue { v_str, ..typed(0) },
        TagValue::Bool(v_bool) => proto::KeyValue { v_bool, ..typed(1) },
        TagValue::Int(v_int64) => proto::KeyValue { v_int64, ..typed(2) },
        TagValue::Float(v_float64) => proto::KeyValue { v_float64, ..typed(3) },
        TagValue::Binary(v_binary) => proto::KeyValue { v_binary, ..typed(4) },
    };
    proto::KeyValue { key: tag.key, ..value }
}

fn timestamp(ns: i64) -> Timestamp {
    Timestamp { seconds: ns.div_euclid(NS_PER_S), nanos: ns.rem_euclid(NS_PER_S) as i32 }
}

/// Microseconds since 1970, rounded down.
pub fn timestamp_us(time: &Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1000)
}

/// `None` for none and for zero, which is none in Jaeger.
pub fn duration_us(duration: Option<&Duration>) -> Option<i64> {
    let us = duration.map(|d| d.seconds.saturating_mul(1_000_000).saturating_add(i64::from(d.nanos) / 1000));
    us.filter(|us| *us != 0)
}
