//! Reads blocks: slices, then the heads of their blocks page by page, then the data of those that are wanted.

use std::ops::Range;
use std::vec::IntoIter;

use super::StoreError;
use super::block::BlockHead;
use super::database::{Database, Row, Transaction, Value};
use super::schema::{Dialect, Family, Slice, slices_between};

/// Heads of one page: their summaries are in memory at once.
const HEADS_PAGE: usize = 256;

/// In which order blocks are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By the newest item of each block.
    NewestFirst,
    /// By the oldest item of each block.
    OldestFirst,
}

/// How much more one search may read; then it answers with what it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Blocks whose summary it looks at.
    pub heads: usize,
    /// Blocks that it reads: each small one costs a query.
    pub blocks: usize,
    /// Compressed bytes of these.
    pub bytes: u64,
}

impl Budget {
    pub fn may_look(&mut self) -> bool {
        let may = self.heads > 0;
        self.heads = self.heads.saturating_sub(1);
        may
    }

    pub fn may_read(&mut self, head: &BlockHead) -> bool {
        let may = self.blocks > 0 && self.bytes > 0;
        self.blocks = self.blocks.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(head.bytes);
        may
    }
}

/// Which blocks of one slice are looked at, and how far that has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadQuery {
    pub slice_s: i64,
    /// Blocks with items from here on, …
    pub from_us: i64,
    /// … and before here.
    pub to_us: i64,
    pub order: Order,
    pub shard: Option<i64>,
    /// Only blocks whose smallest and largest key, at the begin of the summary, have this one between them.
    pub key: Option<[u8; 16]>,
    /// Bytes of the summary that are wanted, from its begin; all without it.
    pub summary_bytes: Option<u32>,
    /// Set by the reader.
    pub after: Option<(i64, i64)>,
    pub is_done: bool,
}

impl HeadQuery {
    /// All blocks of a slice, newest first.
    pub fn new(slice_s: i64) -> Self {
        Self {
            slice_s,
            from_us: i64::MIN,
            to_us: i64::MAX,
            order: Order::NewestFirst,
            shard: None,
            key: None,
            summary_bytes: None,
            after: None,
            is_done: false,
        }
    }

    /// The blocks of any slice with items in a span of time, newest first.
    pub fn between(from_us: i64, to_us: i64) -> Self {
        Self { from_us, to_us, ..Self::new(i64::MIN) }
    }
}

/// Sees one state of the database from its first question to its end. Keep it short: in SQLite what is written meanwhile
/// piles up beside the file.
pub(super) struct BlockReader {
    transaction: Box<dyn Transaction>,
    dialect: Dialect,
    family: Family,
}

/// A walk over the blocks of all slices that a query touches.
pub(super) struct Scan {
    slices: IntoIter<i64>,
    query: HeadQuery,
    page: IntoIter<BlockHead>,
}

impl BlockReader {
    pub async fn open<D: Database>(database: &D, family: Family) -> Result<Self, StoreError> {
        Ok(Self { transaction: database.begin_read().await?, dialect: D::DIALECT, family })
    }

    /// Reads blocks of another family from here on, of the same state; says which it was before.
    pub fn turn_to(&mut self, family: Family) -> Family {
        std::mem::replace(&mut self.family, family)
    }

    /// Starts of the slices that touch a span of time.
    pub async fn slices(&mut self, from_s: i64, to_s: i64, order: Order) -> Result<Vec<i64>, StoreError> {
        let slices = slices_between(&mut *self.transaction, self.family, from_s, to_s).await?;
        let mut starts: Vec<i64> = slices.into_iter().map(|slice| slice.from_s).collect();
        if order == Order::NewestFirst {
            starts.reverse();
        }
        Ok(starts)
    }

    /// The next page; `None` after the last.
    pub async fn heads(&mut self, query: &mut HeadQuery) -> Result<Option<Vec<BlockHead>>, StoreError> {
        if query.is_done {
            return Ok(None);
        }
        let (sql, values) = heads_sql(&self.table(query.slice_s), self.dialect, query);
        let rows = self.transaction.fetch(&sql, values).await?;
        let heads: Vec<BlockHead> = rows.iter().map(|row| head(row, self.family)).collect();
        query.is_done = heads.len() < HEADS_PAGE;
        query.after = heads.last().map(|head| match query.order {
            Order::NewestFirst => (head.to_us, head.block_id),
            Order::OldestFirst => (head.from_us, head.block_id),
        });
        Ok(Some(heads).filter(|heads| !heads.is_empty()))
    }

    /// Begins a walk over the blocks of all slices, in the query's order; its own slice counts for nothing.
    pub async fn scan(&mut self, query: HeadQuery) -> Result<Scan, StoreError> {
        let (from_s, to_s) = (query.from_us.div_euclid(1_000_000), query.to_us.div_euclid(1_000_000).saturating_add(1));
        let slices = self.slices(from_s, to_s, query.order).await?.into_iter();
        Ok(Scan { slices, query: HeadQuery { is_done: true, ..query }, page: Vec::new().into_iter() })
    }

    /// The next block of a walk.
    pub async fn next(&mut self, scan: &mut Scan) -> Result<Option<BlockHead>, StoreError> {
        loop {
            if let Some(head) = scan.page.next() {
                return Ok(Some(head));
            }
            if let Some(page) = self.heads(&mut scan.query).await? {
                scan.page = page.into_iter();
                continue;
            }
            let Some(slice_s) = scan.slices.next() else { return Ok(None) };
            scan.query = HeadQuery { slice_s, after: None, is_done: false, ..scan.query };
        }
    }

    /// The data of a block; empty when it is gone, which within one reader cannot be.
    pub async fn data(&mut self, head: &BlockHead) -> Result<Vec<u8>, StoreError> {
        let sql = format!("SELECT data FROM {} WHERE slice_s = $1 AND shard = $2 AND block_id = $3", self.table(head.slice_s));
        let values = vec![head.slice_s.into(), head.shard.into(), head.block_id.into()];
        let mut rows = self.transaction.fetch(&sql, values).await?;
        let value = rows.pop().and_then(|mut row| row.0.pop());
        Ok(if let Some(Value::Blob(data)) = value { data } else { Vec::new() })
    }

    fn table(&self, slice_s: i64) -> String {
        table(self.dialect, Slice { family: self.family, from_s: slice_s })
    }
}

/// Heads of the blocks with items in a span of time, at most `limit`.
pub(super) async fn heads<D: Database>(
    database: &D,
    family: Family,
    span_us: Range<i64>,
    order: Order,
    limit: usize,
) -> Result<Vec<BlockHead>, StoreError> {
    let mut reader = BlockReader::open(database, family).await?;
    let mut scan = reader.scan(HeadQuery { order, ..HeadQuery::between(span_us.start, span_us.end) }).await?;
    let mut heads = Vec::new();
    while heads.len() < limit
        && let Some(head) = reader.next(&mut scan).await?
    {
        heads.push(head);
    }
    Ok(heads)
}

/// The data of one block; empty when a merge or retention was faster.
pub(super) async fn data<D: Database>(database: &D, head: &BlockHead) -> Result<Vec<u8>, StoreError> {
    let mut reader = BlockReader::open(database, head.family).await?;
    let slice_s = head.slice_s;
    if !reader.slices(slice_s, slice_s + 1, Order::OldestFirst).await?.contains(&slice_s) {
        return Ok(Vec::new());
    }
    reader.data(head).await
}

/// In Postgres the parent: a slice that is being dropped is then waited for, or not seen at all.
pub(super) fn table(dialect: Dialect, slice: Slice) -> String {
    match dialect {
        Dialect::Sqlite => slice.table(),
        Dialect::Postgres => slice.family.name().to_owned(),
    }
}

fn heads_sql(table: &str, dialect: Dialect, query: &HeadQuery) -> (String, Vec<Value>) {
    let summary = query.summary_bytes.map_or("summary".to_owned(), |bytes| format!("substr(summary, 1, {bytes})"));
    let mut values: Vec<Value> = vec![query.slice_s.into(), query.from_us.into(), query.to_us.into()];
    let mut sql = format!(
        "SELECT slice_s, block_id, shard, level, from_us, to_us, items, {}, {summary} FROM {table} \
         WHERE slice_s = $1 AND to_us >= $2 AND from_us < $3",
        length(dialect)
    );
    if let Some(shard) = query.shard {
        values.push(shard.into());
        sql.push_str(&format!(" AND shard = ${}", values.len()));
    }
    if let Some(key) = query.key {
        values.push(Value::Blob(key.to_vec()));
        let place = values.len();
        sql.push_str(&format!(" AND substr(summary, 1, 16) <= ${place} AND substr(summary, 17, 16) >= ${place}"));
    }
    let (column, comparison, direction) = match query.order {
        Order::NewestFirst => ("to_us", '<', "DESC"),
        Order::OldestFirst => ("from_us", '>', "ASC"),
    };
    if let Some((at_us, block_id)) = query.after {
        values.extend([at_us.into(), block_id.into()]);
        let place = values.len();
        sql.push_str(&format!(" AND ({column}, block_id) {comparison} (${}, ${place})", place - 1));
    }
    sql.push_str(&format!(" ORDER BY {column} {direction}, block_id {direction} LIMIT {HEADS_PAGE}"));
    (sql, values)
}

/// Of the data; neither database reads it for that.
pub(super) fn length(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "length(data)",
        Dialect::Postgres => "length(data)::bigint",
    }
}

fn head(row: &Row, family: Family) -> BlockHead {
    BlockHead {
        family,
        slice_s: row.int(0),
        block_id: row.int(1),
        shard: row.int(2),
        level: u8::try_from(row.int(3)).unwrap_or(u8::MAX),
        from_us: row.int(4),
        to_us: row.int(5),
        items: u32::try_from(row.int(6)).unwrap_or(u32::MAX),
        bytes: row.count(7),
        summary: row.blob(8).to_vec(),
    }
}
