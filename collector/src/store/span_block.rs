//! Blocks of spans: columns with dictionaries, compressed, and a summary to search by.

mod attributes;
mod columns;
mod decode;
mod dictionary;
mod encode;
mod facts;
mod matching;
mod merge;
mod summary;
mod values;
pub(crate) mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::block::{CorruptBlock, EncodedBlock};
use super::compression::{compress, decompress};
use super::schema::Family;
use super::span::{Span, SpanKind};

pub use decode::SpanColumns;
pub(super) use matching::{Matcher, may_match};
pub use merge::SpanCompact;
pub(super) use summary::{TRACES_BYTES, may_have_trace, trace_filter};
pub(crate) use wire::hash as hash_name;

/// Spans of one block.
pub const SPANS_MAX: usize = 8_192;
/// A block with so many is not merged.
pub const DENSE_ITEMS: u32 = SPANS_MAX as u32 / 2;
/// Bytes that the spans of one block take in memory, unless one alone takes more.
const SPAN_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Values of [`EncodedBlock::shard`].
const SHARDS: u64 = 32;

/// Bytes of a block after decompression. A writer stays far below: a body is limited, and so is what goes into a block.
const RAW_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Of the bytes before the compressed ones.
const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 3;

/// Services and what is listed of their spans.
pub type Names = BTreeMap<Arc<str>, ServiceNames>;

/// What is listed of the spans of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceNames {
    /// Names of spans, and their kinds as bits.
    pub operations: BTreeMap<String, u8>,
    /// Services at the other end.
    pub remotes: BTreeSet<String>,
}

/// Encodes spans as blocks: by slice, in the order in which they come. It fails when there is no memory to compress.
pub fn encode<'a>(spans: impl Iterator<Item = &'a Span>) -> std::io::Result<Vec<(EncodedBlock, Names)>> {
    let mut slices: BTreeMap<i64, (Vec<&Span>, usize)> = BTreeMap::new();
    let mut blocks = Vec::new();
    for span in spans {
        let slice_s = Family::SpanBlock.slice_at(span.start_ns.div_euclid(1_000_000_000)).from_s;
        let (gathered, bytes) = slices.entry(slice_s).or_default();
        let more = span.bytes();
        if !gathered.is_empty() && (gathered.len() >= SPANS_MAX || *bytes + more > SPAN_BYTES_MAX) {
            blocks.push(encode::encode(gathered)?);
            gathered.clear();
            *bytes = 0;
        }
        gathered.push(span);
        *bytes += more;
    }
    for (gathered, _) in slices.values() {
        blocks.push(encode::encode(gathered)?);
    }
    Ok(blocks)
}

/// All spans of a block.
pub fn decode(data: &[u8]) -> Result<Vec<Span>, CorruptBlock> {
    let raw = unpack(data)?;
    let columns = SpanColumns::read(&raw)?;
    (0..columns.len()).map(|row| columns.span(row)).collect()
}

pub(super) fn pack(raw: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    out.extend_from_slice(&compress(raw, ZSTD_LEVEL)?);
    Ok(out)
}

/// What [`SpanColumns`] reads.
pub fn unpack(data: &[u8]) -> Result<Vec<u8>, CorruptBlock> {
    let mut reader = wire::Reader(data);
    if reader.byte()? != VERSION {
        return Err(CorruptBlock("it has no known version"));
    }
    let length = u32::from_le_bytes(reader.array()?) as usize;
    if length > RAW_BYTES_MAX {
        return Err(CorruptBlock("it is too large"));
    }
    let raw = decompress(reader.0, length).map_err(|_| CorruptBlock("it cannot be decompressed"))?;
    if raw.len() == length { Ok(raw) } else { Err(CorruptBlock("it has the wrong length")) }
}

const SHARED: u8 = 8;
const DEBUG: u8 = 16;
const ERROR: u8 = 32;
const OK: u8 = 64;
const REMOTE: u8 = 128;

fn flags(span: &Span) -> u8 {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    span.kind as u8
        | flag(span.shared, SHARED)
        | flag(span.debug, DEBUG)
        | flag(span.is_error, ERROR)
        | flag(span.is_ok, OK)
        | flag(span.remote.is_some(), REMOTE)
}

fn kind_of(flags: u8) -> SpanKind {
    SpanKind::from_number(i64::from(flags & 7))
}

#[cfg(test)]
mod tests;
