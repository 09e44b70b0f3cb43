//! Small blocks of spans become dense ones, sorted by trace, each span once.

use super::super::block::{Compact, CorruptBlock, EncodedBlock, StoredBlock};
use super::super::schema::Family;
use super::super::span::Span;
use super::{DENSE_ITEMS, SPANS_MAX, decode, encode};

/// How blocks of spans are merged.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanCompact;

impl Compact for SpanCompact {
    fn family(&self) -> Family {
        Family::SpanBlock
    }

    fn dense_items(&self) -> u32 {
        DENSE_ITEMS
    }

    fn merge_items(&self) -> u64 {
        2 * SPANS_MAX as u64
    }

    fn merge(&self, blocks: &[StoredBlock]) -> Result<Vec<EncodedBlock>, (usize, CorruptBlock)> {
        let mut spans = Vec::new();
        for (place, stored) in blocks.iter().enumerate() {
            spans.extend(decode(&stored.block.data).map_err(|corrupt| (place, corrupt))?);
        }
        // References: a span is large to move about.
        let mut sorted: Vec<&Span> = spans.iter().collect();
        sorted.sort_by(|a, b| a.key().cmp(&b.key()));
        sorted.dedup_by(|a, b| a.key() == b.key());
        let encoded = encode(sorted.into_iter()).map_err(|_| (0, CorruptBlock("it cannot be compressed again")))?;
        Ok(encoded.into_iter().map(|(block, _)| block).collect())
    }
}
