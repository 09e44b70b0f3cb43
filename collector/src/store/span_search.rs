//! Finds traces by what one of their spans looks like: newest first, pruned by summaries, and within bounds.

use std::collections::HashMap;
use std::sync::Arc;

use super::block::{BlockHead, CorruptBlock, LEVEL_SIFTED};
use super::block_read::{BlockReader, Budget, HeadQuery};
use super::database::Database;
use super::schema::Family;
use super::span_block::{Matcher, SpanColumns, TRACES_BYTES, may_match, unpack};
use super::span_read::Traces;
use super::tail::{TraceId, Verdicts};
use super::{Span, StoreError, TraceQuery};

/// Traces of one answer.
const TRACES_MAX: usize = 1_000;
/// What one search reads, and as much to fetch what it found.
const BUDGET: Budget = Budget { heads: 50_000, blocks: 1_000, bytes: 128 * 1024 * 1024 };
/// How far before and after the span that was found the rest of its trace is looked for.
const TRACE_REACH_US: i64 = 15 * 60 * 1_000_000;

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundTraces {
    /// Each by the start of its spans.
    pub traces: Vec<Vec<Span>>,
    /// There was more to read than one search may: older traces, or spans of these, may be missing.
    pub is_cut: bool,
}

/// The traces that were found so far, and the start of the newest span of each that matches.
struct Newest {
    starts: HashMap<TraceId, i64>,
    limit: usize,
    /// Spans that start before this change nothing any more.
    oldest_us: i64,
}

impl Newest {
    /// Adds what a block has.
    fn add(&mut self, found: Vec<(TraceId, i64)>) {
        for (id, start_us) in found {
            let known = self.starts.entry(id).or_insert(start_us);
            *known = (*known).max(start_us);
        }
        if self.starts.len() >= self.limit {
            let top = self.top();
            self.oldest_us = top.last().map_or(i64::MIN, |(_, start_us)| *start_us);
            self.starts = top.into_iter().collect();
        }
    }

    /// Newest first, at most the limit.
    fn top(&self) -> Vec<(TraceId, i64)> {
        let mut all: Vec<(TraceId, i64)> = self.starts.iter().map(|(id, start)| (*id, *start)).collect();
        all.sort_unstable_by_key(|(id, start)| std::cmp::Reverse((*start, *id)));
        all.truncate(self.limit);
        all
    }
}

/// Newest first.
pub(super) async fn find<D: Database>(database: &D, query: &TraceQuery) -> Result<FoundTraces, StoreError> {
    let limit = query.limit.min(TRACES_MAX);
    if limit == 0 || query.from_us >= query.to_us {
        return Ok(FoundTraces::default());
    }
    let mut reader = BlockReader::open(database, Family::SpanBlock).await?;
    let mut newest = Newest { starts: HashMap::new(), limit, oldest_us: i64::MIN };
    let is_searched = search(database, &mut reader, query, &mut newest).await?;
    let found = newest.top();
    let (traces, is_complete) = fetch(database, &mut reader, &found).await?;
    Ok(FoundTraces { traces, is_cut: !is_searched || !is_complete })
}

/// False when it was cut.
async fn search<D: Database>(
    database: &D,
    reader: &mut BlockReader,
    query: &TraceQuery,
    newest: &mut Newest,
) -> Result<bool, StoreError> {
    let matcher = Arc::new(Matcher::new(query));
    let (mut budget, mut verdicts) = (BUDGET, Verdicts::default());
    let mut scan = reader.scan(HeadQuery::between(query.from_us, query.to_us)).await?;
    while let Some(head) = reader.next(&mut scan).await? {
        if head.to_us < newest.oldest_us {
            return Ok(true);
        }
        if !budget.may_look() {
            return Ok(false);
        }
        if !is_wanted(database, query, &head) {
            continue;
        }
        if !budget.may_read(&head) {
            return Ok(false);
        }
        let data = reader.data(&head).await?;
        let matcher = Arc::clone(&matcher);
        match tokio::task::spawn_blocking(move || matches(&matcher, &data)).await? {
            Ok(found) if head.level == LEVEL_SIFTED => newest.add(found),
            Ok(found) => {
                let ids: Vec<TraceId> = found.iter().map(|(id, _)| *id).collect();
                let out = verdicts.out(database, reader, head.slice_s, (head.from_us, head.to_us), &ids).await?;
                newest.add(found.into_iter().filter(|(id, _)| !out.contains_key(id)).collect());
            }
            Err(corrupt) => database.caches().corrupt_block(head.family, head.slice_s, head.block_id, &corrupt),
        }
    }
    Ok(true)
}

fn is_wanted<D: Database>(database: &D, query: &TraceQuery, head: &BlockHead) -> bool {
    may_match(query, &head.summary).unwrap_or_else(|corrupt| {
        database.caches().corrupt_block(head.family, head.slice_s, head.block_id, &corrupt);
        false
    })
}

fn matches(matcher: &Matcher, data: &[u8]) -> Result<Vec<(TraceId, i64)>, CorruptBlock> {
    let raw = unpack(data)?;
    let columns = SpanColumns::read(&raw)?;
    let start = |row: usize| Ok((columns.trace_id(row)?, columns.start_ns(row).div_euclid(1000)));
    matcher.rows(&columns)?.into_iter().map(start).collect()
}

/// All spans of the traces, and whether all was read.
async fn fetch<D: Database>(
    database: &D,
    reader: &mut BlockReader,
    found: &[(TraceId, i64)],
) -> Result<(Vec<Vec<Span>>, bool), StoreError> {
    let starts = || found.iter().map(|(_, start_us)| *start_us);
    let (Some(oldest_us), Some(newest_us)) = (starts().min(), starts().max()) else { return Ok((Vec::new(), true)) };
    let (from_us, to_us) = (oldest_us.saturating_sub(TRACE_REACH_US), newest_us.saturating_add(TRACE_REACH_US));
    let mut traces = Traces::new(found.iter().map(|(id, _)| *id));
    let mut budget = BUDGET;
    let mut scan = reader.scan(HeadQuery { summary_bytes: Some(TRACES_BYTES), ..HeadQuery::between(from_us, to_us) }).await?;
    while let Some(head) = reader.next(&mut scan).await? {
        if traces.is_full() {
            break;
        }
        if !traces.may_be_in(&head) {
            continue;
        }
        if !budget.may_read(&head) {
            return Ok((traces.finish(), false));
        }
        let data = reader.data(&head).await?;
        traces = traces.read(database, &head, data).await?;
    }
    let is_complete = !traces.is_cut();
    Ok((traces.finish(), is_complete))
}
