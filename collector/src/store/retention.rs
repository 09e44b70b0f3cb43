//! Forgets the past by dropping whole slices.

use std::time::Duration;

use super::database::Database;
use super::sample::dictionary;
use super::schema::{Family, Slice, drop_slice};
use super::{StoreError, retention_size};

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
    /// Bytes of the blocks of each signal; the oldest go first. Checked as often as the times are.
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
            Family::SpanBlock => self.spans,
            Family::LogBlock => self.logs,
            Family::SampleBlock => self.samples,
        }
    }

    /// Bytes that a family may have; rollups have no limit but their time.
    #[must_use]
    pub fn max_bytes(&self, family: Family) -> Option<u64> {
        match family {
            Family::TenSeconds | Family::Minute | Family::Hour => None,
            Family::SpanBlock => self.spans_bytes,
            Family::LogBlock => self.logs_bytes,
            Family::SampleBlock => self.samples_bytes,
        }
    }
}

/// How long a request is remembered for its retries.
pub const DELIVERIES_KEPT: Duration = Duration::from_secs(15 * 60);

/// Drops what is too old and returns the slices that went.
pub(super) async fn drop_old<D: Database>(database: &D, retention: &Retention, now_ms: i64) -> Result<Vec<Slice>, StoreError> {
    let mut dropped = Vec::new();
    for family in Family::ALL {
        let kept_s = i64::try_from(retention.of(family).as_secs()).unwrap_or(i64::MAX);
        let before_s = (now_ms / 1000).saturating_sub(kept_s);
        dropped.extend(drop_family(database, family, before_s).await?);
    }
    dropped.extend(retention_size::shrink(database, retention).await?);
    forget_targets(database, now_ms).await?;
    forget_deliveries(database, now_ms).await?;
    if dropped.iter().any(|slice| slice.family == Family::SampleBlock) {
        let kept_s = i64::try_from(retention.samples.as_secs()).unwrap_or(i64::MAX / 2);
        dictionary::forget(database, now_ms / 1000 - kept_s).await?;
    }
    if dropped.iter().any(|slice| slice.family == Family::SpanBlock) {
        forget_names(database, now_ms, retention).await?;
    }
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
        for table in ["series", "target"] {
            let sql = format!("DELETE FROM {table} WHERE target_id = $1");
            transaction.execute(&sql, vec![row.int(0).into()]).await?;
        }
    }
    transaction.commit().await
}

async fn forget_deliveries<D: Database>(database: &D, now_ms: i64) -> Result<(), StoreError> {
    let before_ms = now_ms - i64::try_from(DELIVERIES_KEPT.as_millis()).unwrap_or(i64::MAX / 2);
    let mut transaction = database.begin().await?;
    transaction.execute("DELETE FROM delivery WHERE at_ms < $1", vec![before_ms.into()]).await?;
    transaction.commit().await
}

/// Names of services and operations that no kept span has.
async fn forget_names<D: Database>(database: &D, now_ms: i64, retention: &Retention) -> Result<(), StoreError> {
    let before_s = now_ms / 1000 - i64::try_from(retention.spans.as_secs()).unwrap_or(i64::MAX / 2);
    let mut transaction = database.begin().await?;
    for table in ["operation", "service"] {
        let sql = format!("DELETE FROM {table} WHERE kept_until_s <= $1");
        transaction.execute(&sql, vec![before_s.into()]).await?;
    }
    transaction.commit().await?;
    database.caches().forget_names();
    Ok(())
}

/// Remembers by which time was dropped.
pub(super) async fn believe<D: Database>(database: &D, believed_ms: i64) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    transaction.execute("UPDATE store_info SET believed_ms = $1", vec![believed_ms.into()]).await?;
    transaction.commit().await
}
