//! Every parser of foreign bytes as a function of bytes alone, for fuzzers: none may panic, whatever it is given.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::now_ms;
use crate::ingest::door::Times;
use crate::ingest::{als, exposition, log_lines, otlp, scrape, zipkin};
use crate::store::log::LogBlock;
use crate::store::{sample, span_block};

/// A parser, and where its corpus lies.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "exposition", run: |bytes| read_exposition(bytes, "text/plain; version=0.0.4") },
    Target { name: "openmetrics", run: |bytes| read_exposition(bytes, "application/openmetrics-text; version=1.0.0") },
    Target { name: "otlp_protobuf", run: |bytes| otlp::fuzz_protobuf(bytes, times()) },
    Target { name: "otlp_json", run: |bytes| otlp::fuzz_json(bytes, times()) },
    Target { name: "zipkin_json", run: |bytes| zipkin::fuzz_json(bytes, times()) },
    Target { name: "zipkin_protobuf", run: |bytes| zipkin::fuzz_protobuf(bytes, times()) },
    Target { name: "remote_write", run: remote_write },
    Target { name: "als", run: |bytes| als::fuzz(bytes, Times::new(now_ms(), Duration::MAX)) },
    Target { name: "access_log", run: access_log },
    Target { name: "span_block", run: span_block },
    Target { name: "log_block", run: log_block },
    Target { name: "sample_block", run: sample_block },
    Target { name: "scrape_config", run: scrape_config },
    Target { name: "selector", run: selector },
];

fn times() -> Times {
    Times::new(now_ms(), Duration::from_secs(3600))
}

fn read_exposition(bytes: &[u8], content_type: &str) {
    let format = exposition::Format::of(content_type);
    let text = String::from_utf8_lossy(bytes);
    let _ = exposition::is_whole(&text, format);
    for line in exposition::lines(&text) {
        std::hint::black_box(&line);
    }
    for sample in exposition::samples(&text, format) {
        let _ = std::hint::black_box(sample);
    }
}

fn access_log(bytes: &[u8]) {
    let _ = log_lines::parse(&String::from_utf8_lossy(bytes), &Arc::default());
}

fn remote_write(bytes: &[u8]) {
    crate::ingest::remote_write::fuzz(bytes);
    let mut limited = vec![0; 64 * 1024];
    if snap::raw::decompress_len(bytes).is_ok_and(|length| length <= limited.len()) {
        let _ = snap::raw::Decoder::new().decompress(bytes, &mut limited);
    }
}

fn span_block(bytes: &[u8]) {
    let _ = span_block::decode(bytes);
    // What compression holds is the parser's own input.
    if let Ok(columns) = span_block::SpanColumns::read(bytes) {
        for row in 0..columns.len().min(1_000) {
            let _ = columns.span(row);
        }
    }
}

fn log_block(bytes: &[u8]) {
    if let Ok(block) = LogBlock::open(bytes) {
        let rows: Vec<u32> = (0..block.rows().min(1_000) as u32).collect();
        let _ = block.records(&rows);
    }
}

fn sample_block(bytes: &[u8]) {
    let _ = sample::block::read(bytes, &|_| true, &mut |_, times, values| {
        std::hint::black_box((times.len(), values.len()));
    });
}

fn scrape_config(bytes: &[u8]) {
    let _ = scrape::config::parse(&String::from_utf8_lossy(bytes), Path::new("/nowhere"));
}

fn selector(bytes: &[u8]) {
    let _ = sample::matcher::parse_selector(&String::from_utf8_lossy(bytes));
}
