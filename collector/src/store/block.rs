//! Blocks: many items of one signal in one compressed row. What is in them their signal knows; this knows where they are.
//!
//! A signal encodes what came in as an [`EncodedBlock`] with a summary of its own, and puts it into
//! [`WriteBatch::blocks`](super::WriteBatch::blocks): it is durable when the writer answers. To read, it opens a
//! [`BlockReader`](super::block_read::BlockReader) of its family, walks over the heads of the blocks, and
//! fetches `data` only of those that their summary does not rule out:
//!
//! ```text
//! let mut reader = BlockReader::open(database, Family::LogBlock).await?;
//! let mut scan = reader.scan(HeadQuery::between(from_us, to_us)).await?;
//! while let Some(head) = reader.next(&mut scan).await? {
//!     if may_match(&head.summary) {
//!         match decode(&reader.data(&head).await?) {
//!             Ok(items) => …,
//!             Err(corrupt) => database.caches().corrupt_block(family, head.slice_s, head.block_id, &corrupt), // go on
//!         }
//!     }
//! }
//! ```
//!
//! All of one reader is of one state of the database, so that a merge meanwhile hides nothing and shows nothing twice.
//! Small blocks are merged in the background by the signal's [`Compact`]; see [`super::block_compact`].

use super::schema::Family;

/// As it was written.
pub const LEVEL_WRITTEN: u8 = 0;
/// Merged, and small enough to be merged again.
pub const LEVEL_MERGED: u8 = 1;
/// Merged and left alone.
pub const LEVEL_DENSE: u8 = 2;
/// Spans of which those are left out that were judged out; it is left alone.
pub const LEVEL_SIFTED: u8 = 3;
/// Could not be read by a merge, which does not try again.
pub const LEVEL_CORRUPT: u8 = 9;

/// A block that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBlock {
    /// One of [`Family::BLOCKS`].
    pub family: Family,
    /// Start of the slice that all items belong to, of [`Family::slice_at`].
    pub slice_s: i64,
    /// Spreads blocks over the machines of a cluster; by what else, the signal decides.
    pub shard: i64,
    /// Smallest and largest start of the items, in Unix microseconds.
    pub from_us: i64,
    pub to_us: i64,
    pub items: u32,
    /// What a search tells by that it need not read the data. Where items have keys it begins with the smallest and the
    /// largest of them, 16 bytes each, and [`HeadQuery::key`](super::block_read::HeadQuery::key) finds by them.
    pub summary: Vec<u8>,
    /// Compressed.
    pub data: Vec<u8>,
}

impl EncodedBlock {
    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.summary.len() + self.data.len()
    }
}

/// A block of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Unique in its slice.
    pub block_id: i64,
    pub level: u8,
    pub block: EncodedBlock,
}

/// All of a stored block but its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHead {
    pub family: Family,
    pub slice_s: i64,
    pub block_id: i64,
    pub shard: i64,
    pub level: u8,
    pub from_us: i64,
    pub to_us: i64,
    pub items: u32,
    /// Of the data.
    pub bytes: u64,
    pub summary: Vec<u8>,
}

/// The bytes of a block do not read as what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block cannot be read: {0}")]
pub struct CorruptBlock(pub &'static str);

/// How one signal merges its small blocks: pure, no I/O.
pub trait Compact: Send + Sync {
    /// One of [`Family::BLOCKS`].
    fn family(&self) -> Family;

    /// Whether only blocks of the same shard may be merged.
    fn by_shard(&self) -> bool {
        false
    }

    /// A block with so many items is dense: it is not merged again.
    fn dense_items(&self) -> u32;

    /// Items that one merge takes, unless two blocks alone have more: they are all in memory at once.
    fn merge_items(&self) -> u64;

    /// Blocks of a slice that is still written to from which on they are merged; fewer wait for the end of the slice.
    fn due_blocks(&self) -> usize {
        64
    }

    /// Makes one or more blocks of the same slice of several, which come oldest first. Names the block that cannot be
    /// read by its place.
    fn merge(&self, blocks: &[StoredBlock]) -> Result<Vec<EncodedBlock>, (usize, CorruptBlock)>;
}
