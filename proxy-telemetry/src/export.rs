//! Ways out for spans.

mod zipkin;
mod zipkin_json;

pub use zipkin::{QUEUE_SPANS_MAX, REPORT_SPANS_MAX, SpanCounters, ZipkinExporter, ZipkinSettings, ZipkinTarget};
