//! What is remembered of whoever pushes counters: read, moved on and written in the transaction of what that adds.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::batch::{BlockWrite, Counts, Edge, WriteBatch, WriteReport};
use super::database::{Database, Value};
use super::schema::{Family, Slice};
use super::write::Writing;
use super::{StoreError, Totals, bulk};

/// Names what is remembered of some counters of a target.
pub type StateKey = [u8; 16];

/// States that are read in one statement.
const KEYS_PER_STATEMENT: usize = 100;

/// Moves on what is remembered of one target by what it pushed. Pure, because the transaction may be tried again.
pub trait Advance: Send + Sync {
    /// `known` has the states of the keys that were asked for, as far as there are any; `held` is how many the target
    /// has altogether, or 0 when none of the keys is new.
    fn advance(&self, known: &HashMap<StateKey, Vec<u8>>, held: usize) -> Advanced;
}

/// What a push comes to.
#[derive(Clone, Debug, Default)]
pub struct Advanced {
    /// States to write.
    pub states: Vec<(StateKey, Vec<u8>)>,
    pub added: Vec<(i64, Arc<Edge>, Totals)>,
    /// Their items are counted in `counts`.
    pub blocks: Vec<BlockWrite>,
    pub counts: Counts,
}

/// What one target pushed with one request.
#[derive(Clone)]
pub struct PushedTarget {
    /// Names the target for as long as it lives.
    pub target: Arc<str>,
    /// Of its workload; empty when not known.
    pub namespace: Arc<str>,
    /// Times of what it pushed, in Unix milliseconds.
    pub oldest_ms: i64,
    pub newest_ms: i64,
    /// States that are needed.
    pub keys: Vec<StateKey>,
    pub advance: Arc<dyn Advance>,
    /// Counted as duplicates when the request was stored before.
    pub door: &'static str,
    pub signal: &'static str,
    pub items: u64,
}

impl PushedTarget {
    /// How far back of what was pushed may be what that adds.
    pub const SPREAD_MAX_MS: i64 = 3_600_000;

    /// The slices that may be added to.
    pub(super) fn slices(&self) -> impl Iterator<Item = Slice> {
        let (from_s, to_s) = ((self.oldest_ms - Self::SPREAD_MAX_MS).div_euclid(1000), self.newest_ms.div_euclid(1000));
        Family::ROLLUPS.into_iter().flat_map(move |family| {
            let first = family.slice_at(from_s).from_s;
            (0..)
                .map(move |n| first + n * family.slice_s())
                .take_while(move |at_s| *at_s <= to_s)
                .map(move |at_s| family.slice_at(at_s))
        })
    }
}

impl fmt::Debug for PushedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushedTarget").field("target", &self.target).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl<D: Database> Writing<'_, D> {
    /// Moves on what is remembered, and returns what that adds; the counts join the reports.
    pub async fn pushed(
        &mut self,
        group: &[WriteBatch],
        repeated: &HashSet<usize>,
        reports: &mut [WriteReport],
    ) -> Result<Advanced, StoreError> {
        let mut all = Advanced::default();
        let of_batch = |(place, batch): (usize, &'_ WriteBatch)| -> Vec<(usize, PushedTarget)> {
            batch.pushed.iter().map(|pushed| (place, pushed.clone())).collect()
        };
        let mut pushed: Vec<(usize, PushedTarget)> = group.iter().enumerate().flat_map(of_batch).collect();
        // The row of a target is what others wait for, so everybody takes them in the same order.
        pushed.sort_by(|(_, a), (_, b)| a.target.cmp(&b.target));
        for (place, pushed) in pushed {
            let Some(report) = reports.get_mut(place) else { continue };
            if repeated.contains(&place) {
                report.counts.refuse(pushed.door, pushed.signal, "duplicate", pushed.items);
                continue;
            }
            let target_id = self.hold(&pushed).await?;
            let known = self.states(target_id, &pushed.keys).await?;
            let held = if known.len() < pushed.keys.len() { self.held(target_id).await? } else { 0 };
            let advanced = pushed.advance.advance(&known, held);
            self.keep(target_id, advanced.states).await?;
            report.counts.merge(&advanced.counts);
            all.added.extend(advanced.added);
            all.blocks.extend(advanced.blocks);
        }
        Ok(all)
    }

    /// The target's row, which is this transaction's until it ends.
    async fn hold(&mut self, pushed: &PushedTarget) -> Result<i64, StoreError> {
        let sql = "INSERT INTO target (target_key, namespace, version, scraped_at_ms) VALUES ($1, $2, 1, $3) \
                   ON CONFLICT (target_key) DO UPDATE SET version = target.version + 1, scraped_at_ms = \
                   CASE WHEN excluded.scraped_at_ms > target.scraped_at_ms THEN excluded.scraped_at_ms \
                   ELSE target.scraped_at_ms END RETURNING target_id";
        self.id(sql, vec![Value::from(&*pushed.target), Value::from(&*pushed.namespace), pushed.newest_ms.into()]).await
    }

    async fn states(&mut self, target_id: i64, keys: &[StateKey]) -> Result<HashMap<StateKey, Vec<u8>>, StoreError> {
        let mut known = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_PER_STATEMENT) {
            // Always as many, so that the prepared statement can be kept; what is repeated is found once.
            let last = keys.last().into_iter().cycle();
            let keys = keys.iter().chain(last).take(KEYS_PER_STATEMENT);
            let places: Vec<String> = (2..2 + KEYS_PER_STATEMENT).map(|n| format!("${n}")).collect();
            let sql = format!(
                "SELECT state_key, state FROM pushed_state WHERE target_id = $1 AND state_key IN ({})",
                places.join(", ")
            );
            let values = [target_id.into()].into_iter().chain(keys.map(|key| Value::Blob(key.to_vec())));
            for row in self.transaction.fetch(&sql, values.collect()).await? {
                if let Ok(key) = StateKey::try_from(row.blob(0)) {
                    known.insert(key, row.blob(1).to_vec());
                }
            }
        }
        Ok(known)
    }

    async fn held(&mut self, target_id: i64) -> Result<usize, StoreError> {
        let sql = "SELECT COUNT(*) FROM pushed_state WHERE target_id = $1";
        let rows = self.transaction.fetch(sql, vec![target_id.into()]).await?;
        Ok(rows.first().map_or(0, |row| usize::try_from(row.int(0)).unwrap_or(usize::MAX)))
    }

    async fn keep(&mut self, target_id: i64, states: Vec<(StateKey, Vec<u8>)>) -> Result<(), StoreError> {
        let now_ms = crate::clock::now_ms();
        let row =
            |(key, state): (StateKey, Vec<u8>)| [target_id.into(), Value::Blob(key.to_vec()), now_ms.into(), Value::Blob(state)];
        let into = "pushed_state (target_id, state_key, at_ms, state)";
        let tail = "ON CONFLICT (target_id, state_key) DO UPDATE SET at_ms = excluded.at_ms, state = excluded.state";
        bulk::insert(D::DIALECT, &mut *self.transaction, into, tail, 4, states.into_iter().flat_map(row).collect()).await?;
        Ok(())
    }
}

/// Whether somebody pushed counters of a target whose key begins so.
pub(super) async fn is_pushed<D: Database>(database: &D, beginnings: &[String]) -> Result<bool, StoreError> {
    let mut transaction = database.begin_read().await?;
    let sql = "SELECT target_id FROM target WHERE substr(target_key, 1, length(CAST($1 AS TEXT))) = CAST($1 AS TEXT) LIMIT 1";
    for beginning in beginnings {
        if !transaction.fetch(sql, vec![Value::from(beginning.as_str())]).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
