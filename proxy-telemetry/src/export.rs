//! Ways out for spans.

mod zipkin;
mod zipkin_json;

pub use zipkin::{SpanCounters, ZipkinExporter, ZipkinSettings, ZipkinTarget};
