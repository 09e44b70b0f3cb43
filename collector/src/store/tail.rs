//! Tail sampling as the store sees it: what is known of traces that are not judged yet, verdicts, and blocks of spans
//! without the traces that were judged out.
//!
//! Spans are stored at once. In the same transaction goes one row of facts, a line per trace of the group: all that the
//! judge has to know, so that he reads no spans. He gives his verdicts in one transaction that also deletes the facts; what
//! he kept in memory can be read again at any time. What is judged out is not shown from then on, and leaves the blocks
//! when they are sifted.

mod facts;
mod judging;
mod lookup;
mod sift;
mod verdict;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::database::Database;
use super::{Span, StoreError};

pub use facts::{CONDITIONS_MAX, Root, TraceFacts};
pub use judging::{Bench, FactsRow, Sentence};
pub use sift::{Sieve, Sifted};
pub use verdict::{Judged, Verdict, VerdictCompact, encode as encode_verdicts};

pub(super) use facts::{PackedFacts, pack_spans};
pub(super) use judging::{FACTS_STALE_MS, forget_facts, insert_facts, ready_before};
pub(super) use lookup::Verdicts;
pub(super) use verdict::items as verdict_items;

pub type TraceId = [u8; 16];

/// Whether a trace is not judged yet.
pub type IsWaiting<'a> = dyn Fn(&TraceId) -> bool + Send + Sync + 'a;

/// Looks at each span that is stored, for conditions of the rules.
pub trait SpanWatch: Send + Sync + 'static {
    /// Names of the conditions, at most [`CONDITIONS_MAX`].
    fn conditions(&self) -> &[u64];

    /// Which of them a span meets: a bit for each, the first one lowest.
    fn met(&self, span: &Span) -> u64;
}

/// What the judge of traces needs of a store.
#[async_trait]
pub trait TraceSampling: Send + Sync + 'static {
    /// From now on, facts of stored spans are written down; without a watch they are not.
    fn watch_spans(&self, watch: Option<Arc<dyn SpanWatch>>);

    /// Makes this collector the judge, or keeps it; `None` while another one is.
    async fn take_bench(&self, holder: i64, lease: Duration) -> Result<Option<Bench>, StoreError>;

    /// Leaves judging to the others.
    async fn leave_bench(&self, holder: i64) -> Result<(), StoreError>;

    /// Facts that are not known yet, oldest first, at most so many traces or one row; and the ids of all.
    async fn facts(&self, known: &HashSet<i64>, traces_max: u64) -> Result<(Vec<FactsRow>, HashSet<i64>), StoreError>;

    /// Verdicts of late, newest first, at most `limit`.
    async fn last_verdicts(&self, limit: usize) -> Result<Vec<(TraceId, Verdict)>, StoreError>;

    /// Makes verdicts durable, all of a sentence or nothing; false when this collector is not the judge any more.
    async fn pronounce(&self, sentence: &Sentence) -> Result<bool, StoreError>;

    /// Blocks of spans that are worth sifting. What is not judged of them is known to who reads the facts after this.
    async fn to_sift(&self, now_ms: i64, quiet_ms: i64) -> Result<Option<Sieve>, StoreError>;

    /// Leaves the traces out that were judged out; blocks with a trace for which `is_waiting` holds stay as they are.
    async fn sift(&self, sieve: Sieve, is_waiting: &IsWaiting<'_>) -> Result<Sifted, StoreError>;
}

#[async_trait]
impl<D: Database> TraceSampling for D {
    fn watch_spans(&self, watch: Option<Arc<dyn SpanWatch>>) {
        self.caches().set_watch(watch);
    }

    async fn take_bench(&self, holder: i64, lease: Duration) -> Result<Option<Bench>, StoreError> {
        judging::take_bench(self, holder, lease).await
    }

    async fn leave_bench(&self, holder: i64) -> Result<(), StoreError> {
        judging::leave_bench(self, holder).await
    }

    async fn facts(&self, known: &HashSet<i64>, traces_max: u64) -> Result<(Vec<FactsRow>, HashSet<i64>), StoreError> {
        judging::facts(self, known, traces_max).await
    }

    async fn last_verdicts(&self, limit: usize) -> Result<Vec<(TraceId, Verdict)>, StoreError> {
        lookup::last(self, limit).await
    }

    async fn pronounce(&self, sentence: &Sentence) -> Result<bool, StoreError> {
        judging::pronounce(self, sentence).await
    }

    async fn to_sift(&self, now_ms: i64, quiet_ms: i64) -> Result<Option<Sieve>, StoreError> {
        sift::candidates(self, now_ms, quiet_ms).await
    }

    async fn sift(&self, sieve: Sieve, is_waiting: &IsWaiting<'_>) -> Result<Sifted, StoreError> {
        sift::sift(self, sieve, is_waiting).await
    }
}

/// Spans by the rule that judged them out.
pub type SpansOut = BTreeMap<Arc<str>, u64>;
