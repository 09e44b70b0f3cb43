//! Forgets the past by dropping whole slices.

use std::time::Duration;

use super::database::{Database, Value};
use super::sample::dictionary;
use super::schema::{Family, Slice, drop_slice};
use super::tail::{FACTS_STALE_MS, forget_facts};
use super::{StoreError, exemplar, links, metadata, retention_size};

/// How long each kind of data is kept. A slice goes when all of it is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Rollups of ten seconds.
    pub fine: Duration,
    /// Rollups of a minute.
    pub minutes: Duration,
    /// Rollups of an hour.
    pub hours: Duration,
    pub spans: Duration,
    pub logs: Duration,
    pub samples: Duration,
    /// Bytes of the blocks of each signal; the oldest go first. Checked more often than the times: data comes quickly.
    pub spans_bytes: Option<u64>,
    pub logs_bytes: Option<u64>,
    pub samples_bytes: Option<u64>,
}

const DAY: u64 = 24 * 3600;

/// How long a target is remembered that does not answer. A process that is older than this and not known is a baseline,
/// whatever the store's age.
pub const TARGETS_KEPT: Duration = Duration::from_secs(30 * DAY);

impl Default for Retention {
    fn default() -> Self {
        Self {
            fine: Duration::from_secs(DAY),
            minutes: Duration::from_secs(14 * DAY),
            hours: Duration::from_secs(400 * DAY),
            spans: Duration::from_secs(7 * DAY),
            logs: Duration::from_secs(7 * DAY),
            samples: Duration::from_secs(15 * DAY),
            spans_bytes: None,
            logs_bytes: None,
            samples_bytes: None,
        }
    }
}

impl Retention {
    #[must_use]
    pub fn of(&self, family: Family) -> Duration {
        match family {
            Family::TenSeconds => self.fine,
            Family::Minute => self.minutes,
            Family::Hour => self.hours,
            Family::SpanBlock | Family::VerdictBlock => self.spans,
            Family::LogBlock => self.logs,
            Family::SampleBlock => self.samples,
        }
    }

    /// Bytes that a family may have; rollups and verdicts have no limit but their time.
    #[must_use]
    pub fn max_bytes(&self, family: Family) -> Option<u64> {
        match family {
            Family::TenSeconds | Family::Minute | Family::Hour | Family::VerdictBlock => None,
            Family::SpanBlock => self.spans_bytes,
            Family::LogBlock => self.logs_bytes,
            Family::SampleBlock => self.samples_bytes,
        }
    }
}

/// How long a request is remembered for its retries.
pub const DELIVERIES_KEPT: Duration = Duration::from_secs(15 * 60);
/// How long facts of traces wait for a judge, when no collector samples any more.
const FACTS_KEPT_MS: i64 = 24 * FACTS_STALE_MS;
/// Requests that are forgotten in one transaction: a thousand come in a second, and the writer waits meanwhile.
const DELIVERIES_FORGOTTEN_MAX: usize = 5_000;

/// Drops what is too old and returns the slices that went.
pub(super) async fn drop_old<D: Database>(database: &D, retention: &Retention, now_ms: i64) -> Result<Vec<Slice>, StoreError> {
    let kept_s = |family| i64::try_from(retention.of(family).as_secs()).unwrap_or(i64::MAX);
    let before_s = |family| (now_ms / 1000).saturating_sub(kept_s(family));
    let mut dropped = Vec::new();
    for family in Family::ALL {
        dropped.extend(drop_family(database, family, before_s(family)).await?);
    }
    dropped.extend(retention_size::shrink(database, retention).await?);
    forget_targets(database, now_ms).await?;
    forget_pushed(database, now_ms).await?;
    forget_deliveries(database, now_ms).await?;
    forget_facts(database, now_ms - FACTS_KEPT_MS).await?;
    // Whoever dropped the slices: another collector may have, or the bytes that they may have.
    dictionary::forget(database, before_s(Family::SampleBlock)).await?;
    exemplar::forget(database, before_s(Family::SampleBlock)).await?;
    metadata::forget(database, before_s(Family::SampleBlock)).await?;
    forget_names(database, before_s(Family::SpanBlock)).await?;
    links::forget(database, before_s(Family::SpanBlock)).await?;
    retention_size::give_back(database).await?;
    Ok(dropped)
}

/// In a transaction of its own: in Postgres each drop locks the parent.
pub(super) async fn drop_one<D: Database>(database: &D, slice: Slice) -> Result<(), StoreError> {
    // First from the cache: a writer that needs the slice after this makes it again.
    database.caches().forget_slice(slice);
    let mut transaction = database.begin().await?;
    drop_slice(&mut *transaction, slice).await?;
    transaction.commit().await?;
    database.caches().forget_slice(slice);
    Ok(())
}

async fn drop_family<D: Database>(database: &D, family: Family, before_s: i64) -> Result<Vec<Slice>, StoreError> {
    let sql = "SELECT from_s FROM slice WHERE family = $1 AND to_s <= $2 ORDER BY from_s";
    let rows = database.begin_read().await?.fetch(sql, vec![family.name().into(), before_s.into()]).await?;
    let slices: Vec<Slice> = rows.iter().map(|row| Slice { family, from_s: row.int(0) }).collect();
    for slice in &slices {
        drop_one(database, *slice).await?;
    }
    Ok(slices)
}

/// In a mesh where every start of a pod is a new target, the table would grow for ever.
async fn forget_targets<D: Database>(database: &D, now_ms: i64) -> Result<(), StoreError> {
    let before_ms = now_ms - i64::try_from(TARGETS_KEPT.as_millis()).unwrap_or(i64::MAX / 2);
    let sql = "SELECT target_id FROM target WHERE scraped_at_ms < $1 LIMIT 1000";
    let rows = database.begin_read().await?.fetch(sql, vec![before_ms.into()]).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    for row in &rows {
        for table in ["series", "pushed_state", "target"] {
            let sql = format!("DELETE FROM {table} WHERE target_id = $1");
            transaction.execute(&sql, vec![row.int(0).into()]).await?;
        }
    }
    transaction.commit().await
}

/// Counters of targets that go on, but without them: each that is told is written anew now and then.
async fn forget_pushed<D: Database>(database: &D, now_ms: i64) -> Result<(), StoreError> {
    let before_ms = now_ms - i64::try_from(TARGETS_KEPT.as_millis()).unwrap_or(i64::MAX / 2);
    let mut transaction = database.begin().await?;
    transaction.execute("DELETE FROM pushed_state WHERE at_ms < $1", vec![before_ms.into()]).await?;
    transaction.commit().await
}

/// By the clock that the requests were written down by: while that is doubted they still go after their time.
async fn forget_deliveries<D: Database>(database: &D, now_ms: i64) -> Result<(), StoreError> {
    let now_ms = now_ms.max(crate::clock::now_ms());
    let before_ms = now_ms - i64::try_from(DELIVERIES_KEPT.as_millis()).unwrap_or(i64::MAX / 2);
    let some = format!(
        "SELECT delivery_id FROM delivery WHERE delivery_id > $1 AND at_ms < $2 ORDER BY delivery_id \
         LIMIT {DELIVERIES_FORGOTTEN_MAX}"
    );
    let mut after = Value::Blob(Vec::new());
    loop {
        let rows = database.begin_read().await?.fetch(&some, vec![after.clone(), before_ms.into()]).await?;
        let Some(last) = rows.last().map(|row| Value::Blob(row.blob(0).to_vec())) else { return Ok(()) };
        let mut transaction = database.begin().await?;
        let sql = "DELETE FROM delivery WHERE delivery_id > $1 AND delivery_id <= $3 AND at_ms < $2";
        transaction.execute(sql, vec![after, before_ms.into(), last.clone()]).await?;
        transaction.commit().await?;
        after = last;
    }
}

/// Names of services and operations that no kept span has.
async fn forget_names<D: Database>(database: &D, before_s: i64) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    for table in ["operation", "remote_service", "service"] {
        let sql = format!("DELETE FROM {table} WHERE kept_until_s <= $1");
        transaction.execute(&sql, vec![before_s.into()]).await?;
    }
    transaction.commit().await?;
    database.caches().forget_names(before_s);
    Ok(())
}

/// Remembers by which time was dropped.
pub(super) async fn believe<D: Database>(database: &D, believed_ms: i64) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    transaction.execute("UPDATE store_info SET believed_ms = $1", vec![believed_ms.into()]).await?;
    transaction.commit().await
}
