//! Every parser of foreign bytes as a function of bytes alone, for fuzzers: none may panic, whatever it is given.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::ingest::door::{DoorLimits, Times};
use crate::ingest::{als, exposition, log_lines, otlp, scrape, zipkin};
use crate::pipeline::SamplePush;
use crate::query::promql;
use crate::store::log::LogBlock;
use crate::store::sample::index::SeriesIndex;
use crate::store::{sample, span_block};

/// The clock stands still: a run can be repeated, and no seed ever becomes too old to be looked at.
const NOW_MS: i64 = 1_795_530_000_000;
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Series that one input may bring.
const SERIES_MAX: usize = 1_000;

/// A parser, and where its corpus lies.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "exposition", run: |bytes| read_exposition(bytes, "text/plain; version=0.0.4") },
    Target { name: "openmetrics", run: |bytes| read_exposition(bytes, "application/openmetrics-text; version=1.0.0") },
    Target { name: "otlp_protobuf", run: |bytes| otlp::fuzz_protobuf(bytes, times(), &mut samples()) },
    Target { name: "otlp_json", run: |bytes| otlp::fuzz_json(bytes, times(), &mut samples()) },
    Target { name: "zipkin_json", run: |bytes| zipkin::fuzz_json(bytes, times()) },
    Target { name: "zipkin_protobuf", run: |bytes| zipkin::fuzz_protobuf(bytes, times()) },
    Target { name: "remote_write", run: remote_write },
    Target { name: "als", run: |bytes| als::fuzz(bytes, times()) },
    Target { name: "log_lines", run: |bytes| log_lines::fuzz(bytes, times()) },
    Target { name: "span_block", run: span_block },
    Target { name: "log_block", run: log_block },
    Target { name: "sample_block", run: sample_block },
    Target { name: "scrape_config", run: scrape_config },
    Target { name: "selector", run: selector },
    Target { name: "promql", run: |bytes| promql::fuzz(&String::from_utf8_lossy(bytes), promql::Times::at(NOW_MS)) },
];

fn times() -> Times {
    Times::new(NOW_MS, KEPT)
}

fn samples() -> SamplePush {
    let check = |t_ms: i64| times().check(t_ms.saturating_mul(1_000_000));
    SamplePush::up_to(DoorLimits::default().items, Arc::new(SeriesIndex::new(1, SERIES_MAX)), Arc::new(check))
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

fn remote_write(bytes: &[u8]) {
    crate::ingest::remote_write::fuzz(bytes, samples);
    let mut limited = vec![0; 64 * 1024];
    if snap::raw::decompress_len(bytes).is_ok_and(|length| length <= limited.len()) {
        let _ = snap::raw::Decoder::new().decompress(bytes, &mut limited);
    }
}

/// Of blocks both what is stored and what compression held: few changes of the one reach the other.
fn span_block(bytes: &[u8]) {
    let _ = span_block::decode(bytes);
    if let Ok(columns) = span_block::SpanColumns::read(bytes) {
        for row in 0..columns.len().min(1_000) {
            let _ = columns.span(row);
        }
    }
}

fn log_block(bytes: &[u8]) {
    for block in [LogBlock::open(bytes), LogBlock::parse(bytes.to_vec())].into_iter().flatten() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        // Found ones are broken on purpose.
        let seeds = files.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("found-"));
        seeds.map(|path| std::fs::read(path).unwrap()).collect()
    }

    /// A seed that is refused at its first byte tries nothing.
    #[test]
    fn seeds_of_blocks_are_blocks() {
        for seed in seeds("span_block") {
            let packed = span_block::decode(&seed).map(|spans| spans.len());
            let raw = span_block::SpanColumns::read(&seed).map(|columns| columns.len());
            assert!(packed.or(raw).is_ok_and(|spans| spans > 0));
        }
        for seed in seeds("log_block") {
            let block = LogBlock::open(&seed).or_else(|_| LogBlock::parse(seed)).unwrap();
            assert!(!block.records(&[0]).unwrap().is_empty());
        }
        for seed in seeds("sample_block") {
            let mut series = 0;
            sample::block::read(&seed, &|_| true, &mut |_, _, _| series += 1).unwrap();
            assert!(series > 0);
        }
    }
}
