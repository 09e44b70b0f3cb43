//! Looks for log lines: newest blocks first, unread where their summary rules them out, and within bounds.

use std::sync::Arc;

use super::block::{BlockHead, CorruptBlock};
use super::block_read::{BlockReader, Budget, HeadQuery};
use super::database::Database;
use super::log::{CorruptLog, LogAnswer, LogBlock, LogQuery, LogRecord, may_match};
use super::schema::Family;
use super::{StoreError, block};

/// Lines of one answer.
pub const LOG_LINES_MAX: usize = 5_000;
/// What one search reads.
const BUDGET: Budget = Budget { heads: 50_000, blocks: 2_000, bytes: 64 * 1024 * 1024 };

/// What was found so far, and how much more may be read.
struct Search {
    query: Arc<LogQuery>,
    found: Vec<LogRecord>,
    budget: Budget,
    corrupt: u64,
}

pub(super) async fn find<D: Database>(database: &D, query: &LogQuery) -> Result<LogAnswer, StoreError> {
    let limit = query.limit.clamp(1, LOG_LINES_MAX);
    let query = Arc::new(LogQuery { limit, ..query.clone() });
    let mut search = Search { query, found: Vec::new(), budget: BUDGET, corrupt: 0 };
    let searched_from_ns = search.run(database).await?;
    Ok(LogAnswer { records: search.found, searched_from_ns, corrupt_blocks: search.corrupt })
}

impl Search {
    /// Reads until nothing newer can be found, and tells from when on everything was looked at; `None` for all of it.
    async fn run<D: Database>(&mut self, database: &D) -> Result<Option<i64>, StoreError> {
        let (from_us, to_us) = (self.query.from_ns.div_euclid(1000), self.query.to_ns.div_euclid(1000).saturating_add(1));
        let mut reader = BlockReader::open(database, Family::LogBlock).await?;
        let mut scan = reader.scan(HeadQuery::between(from_us, to_us)).await?;
        while let Some(head) = reader.next(&mut scan).await? {
            // Blocks come by their newest line, so all that is newer than this one's was seen.
            let newest_ns = head.to_us.saturating_mul(1000).saturating_add(999);
            if self.is_full() && self.oldest_ns().is_some_and(|oldest| newest_ns < oldest) {
                return Ok(self.oldest_ns());
            }
            if !self.budget.may_look() {
                return Ok(Some(newest_ns.saturating_add(1)));
            }
            if !may_match(&head.summary, &self.query) {
                continue;
            }
            if !self.budget.may_read(&head) {
                return Ok(Some(newest_ns.saturating_add(1)));
            }
            let data = reader.data(&head).await?;
            self.look(database, &head, data).await;
        }
        Ok(self.oldest_ns().filter(|_| self.is_full()))
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.query.limit
    }

    fn oldest_ns(&self) -> Option<i64> {
        self.found.last().map(|record| record.time_ns)
    }

    /// Takes the lines of one block that match. One that cannot be read is counted, and misses in the answer.
    async fn look<D: Database>(&mut self, database: &D, head: &BlockHead, data: Vec<u8>) {
        let (query, floor) = (Arc::clone(&self.query), self.oldest_ns().filter(|_| self.is_full()));
        let looked = tokio::task::spawn_blocking(move || lines(&data, &query, floor)).await;
        match looked {
            Ok(Ok(lines)) => {
                self.found.extend(lines);
                // Stable: what is at the same time keeps its order.
                self.found.sort_by_key(|record| std::cmp::Reverse(record.time_ns));
                self.found.truncate(self.query.limit);
            }
            Ok(Err(CorruptLog(reason))) => {
                self.corrupt += 1;
                database.caches().corrupt_block(Family::LogBlock, head.slice_s, head.block_id, &CorruptBlock(reason));
            }
            Err(error) => {
                self.corrupt += 1;
                tracing::error!(%error, "a block of logs could not be searched");
            }
        }
    }
}

fn lines(data: &[u8], query: &LogQuery, floor: Option<i64>) -> Result<Vec<LogRecord>, CorruptLog> {
    let block = LogBlock::open(data)?;
    // Where the answer is full already, only newer lines can still get in.
    let from_ns = floor.map_or(query.from_ns, |floor| floor.max(query.from_ns));
    let mut rows = block.find(&LogQuery { from_ns, ..query.clone() })?;
    rows.truncate(query.limit);
    block.records(&rows)
}

/// How blocks of log lines are merged.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCompact;

impl block::Compact for LogCompact {
    fn family(&self) -> Family {
        Family::LogBlock
    }

    fn dense_items(&self) -> u32 {
        super::log::BLOCK_ROWS_MAX as u32
    }

    fn merge_items(&self) -> u64 {
        2 * super::log::BLOCK_ROWS_MAX as u64
    }

    fn merge(&self, blocks: &[block::StoredBlock]) -> Result<Vec<block::EncodedBlock>, (usize, CorruptBlock)> {
        super::log::merge(blocks.iter().map(|stored| &*stored.block.data))
            .map_err(|(place, CorruptLog(reason))| (place, CorruptBlock(reason)))
            .map(|merged| merged.into_iter().map(Into::into).collect())
    }
}
