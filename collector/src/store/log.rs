//! A log line as the collector keeps it, whichever door it came through, and what lines are looked for.

mod builder;
mod decode;
mod encode;
mod fields;
mod finish;
mod query;
mod record;
mod strings;
mod summary;
mod varint;

#[cfg(test)]
mod tests;

pub use builder::{ATTRIBUTES_MAX, AttributeRef, BLOCK_ROWS_MAX, LogBlockBuilder, NUMBER_MAX};
pub use decode::LogBlock;
pub use fields::{NumberField, TextField};
pub use finish::{FinishedLogs, LEVEL_DENSE, LEVEL_QUICK, merge};
pub use query::{LogAnswer, LogQuery};
pub use record::{AccessFields, LogRecord};
pub use strings::TEXT_BYTES_MAX;
pub use summary::{NAMESPACE_ATTRIBUTES, WORKLOAD_ATTRIBUTES, may_match};

/// Why bytes are no block of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block of logs cannot be read: {0}")]
pub struct CorruptLog(pub &'static str);

/// What is known of a block without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    pub from_ns: i64,
    pub to_ns: i64,
    pub rows: usize,
}
