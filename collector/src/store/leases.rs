//! Which collector scrapes which target: one short transaction per round, in which each collector says that it is there,
//! and takes or gives targets. Rounds take turns, so that no two decide by the same rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::StoreError;
use super::bulk;
use super::database::{Database, Transaction, Value};
use super::schema::Dialect;

/// Named in one statement.
const KEYS_PER_STATEMENT: usize = 500;
/// A collector that has been gone for this long is forgotten, and its leases with it.
const FORGET_AFTER_MS: i64 = 3_600_000;

/// What the database says.
#[derive(Clone, Debug)]
pub struct LeaseView {
    /// Time of the database, and the moment at which it was read.
    pub database_ms: i64,
    pub read_at: Instant,
    /// Collectors that are there, this one included; sorted.
    pub alive: Vec<Arc<str>>,
    /// Who scrapes what, whether he is there or not.
    pub owners: HashMap<Arc<str>, Arc<str>>,
}

/// What a collector decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseChanges {
    /// Taken by this collector: keys and descriptions.
    pub claimed: Vec<(Arc<str>, String)>,
    /// Given to others.
    pub given: Vec<(Arc<str>, Arc<str>)>,
    /// Left to whoever wants them.
    pub freed: Vec<Arc<str>>,
}

/// A target as its owner described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedTarget {
    pub key: Arc<str>,
    pub collector_id: Arc<str>,
    pub described: String,
    /// When a scrape of it was last stored; `None` when never.
    pub scraped_at_ms: Option<i64>,
}

/// Decides by what the database says; called once, inside the transaction.
pub type Decide<'a> = dyn FnMut(&LeaseView) -> LeaseChanges + Send + 'a;

/// One round of the collector `me`; what was decided has happened when this returns.
pub(super) async fn round<D: Database>(
    database: &D,
    me: &str,
    lease: Duration,
    decide: &mut Decide<'_>,
) -> Result<LeaseView, StoreError> {
    let mut transaction = database.begin().await?;
    if D::DIALECT == Dialect::Postgres {
        transaction.execute("SELECT pg_advisory_xact_lock(20005)", vec![]).await?;
    }
    let (database_ms, read_at) = now(D::DIALECT, &mut *transaction).await?;
    let until_ms = database_ms.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
    transaction
        .execute(
            "INSERT INTO collector (collector_id, alive_until_ms) VALUES ($1, $2) \
             ON CONFLICT (collector_id) DO UPDATE SET alive_until_ms = excluded.alive_until_ms",
            vec![me.into(), until_ms.into()],
        )
        .await?;
    forget(&mut *transaction, database_ms).await?;
    let view = view(&mut *transaction, database_ms, read_at).await?;
    change(D::DIALECT, &mut *transaction, me, database_ms, &decide(&view)).await?;
    transaction.commit().await?;
    Ok(view)
}

/// Time of the database, in Unix milliseconds.
pub(super) fn now_sql(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        Dialect::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    }
}

pub(super) async fn now(dialect: Dialect, transaction: &mut dyn Transaction) -> Result<(i64, Instant), StoreError> {
    let sql = format!("SELECT {}", now_sql(dialect));
    let before = Instant::now();
    let rows = transaction.fetch(&sql, vec![]).await?;
    // Halfway between question and answer is as near as one can get.
    let read_at = before + before.elapsed() / 2;
    Ok((rows.first().map_or(0, |row| row.int(0)), read_at))
}

async fn view(transaction: &mut dyn Transaction, database_ms: i64, read_at: Instant) -> Result<LeaseView, StoreError> {
    let alive = transaction
        .fetch("SELECT collector_id FROM collector WHERE alive_until_ms > $1 ORDER BY collector_id", vec![database_ms.into()])
        .await?;
    let alive: Vec<Arc<str>> = alive.iter().map(|row| Arc::from(row.text(0))).collect();
    let rows = transaction.fetch("SELECT target_key, collector_id FROM target_lease", vec![]).await?;
    let mut names: HashMap<String, Arc<str>> = alive.iter().map(|id| (id.to_string(), id.clone())).collect();
    let owners = rows
        .iter()
        .map(|row| {
            let owner = names.entry(row.text(1).to_owned()).or_insert_with(|| row.text(1).into());
            (Arc::from(row.text(0)), owner.clone())
        })
        .collect();
    Ok(LeaseView { database_ms, read_at, alive, owners })
}

async fn change(
    dialect: Dialect,
    transaction: &mut dyn Transaction,
    me: &str,
    now_ms: i64,
    changes: &LeaseChanges,
) -> Result<(), StoreError> {
    let rows = changes.claimed.iter();
    let values =
        rows.flat_map(|(key, described)| [Value::from(&**key), Value::from(me), now_ms.into(), Value::from(described.as_str())]);
    bulk::insert(
        dialect,
        transaction,
        "target_lease (target_key, collector_id, since_ms, described)",
        "ON CONFLICT (target_key) DO UPDATE SET collector_id = excluded.collector_id, since_ms = excluded.since_ms, \
         described = excluded.described",
        4,
        values.collect(),
    )
    .await?;
    let mut to_others: HashMap<&str, Vec<&str>> = HashMap::new();
    for (key, other) in &changes.given {
        to_others.entry(other).or_default().push(key);
    }
    for (other, keys) in to_others {
        for keys in keys.chunks(KEYS_PER_STATEMENT) {
            let sql = format!(
                "UPDATE target_lease SET collector_id = $1, since_ms = $2 WHERE target_key IN ({})",
                places(3, keys.len())
            );
            let values = [other.into(), now_ms.into()].into_iter().chain(keys.iter().map(|key| Value::from(*key)));
            transaction.execute(&sql, values.collect()).await?;
        }
    }
    for keys in changes.freed.chunks(KEYS_PER_STATEMENT) {
        let sql = format!("DELETE FROM target_lease WHERE target_key IN ({})", places(1, keys.len()));
        transaction.execute(&sql, keys.iter().map(|key| Value::from(&**key)).collect()).await?;
    }
    Ok(())
}

fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Collectors that never said farewell.
async fn forget(transaction: &mut dyn Transaction, now_ms: i64) -> Result<(), StoreError> {
    let before_ms = now_ms - FORGET_AFTER_MS;
    let gone = transaction.execute("DELETE FROM collector WHERE alive_until_ms < $1", vec![before_ms.into()]).await?;
    if gone > 0 {
        let sql = "DELETE FROM target_lease WHERE collector_id NOT IN (SELECT collector_id FROM collector)";
        transaction.execute(sql, vec![]).await?;
    }
    Ok(())
}

/// The collector ends in order: its targets are free at once.
pub(super) async fn leave<D: Database>(database: &D, me: &str) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    for table in ["target_lease", "collector"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE collector_id = $1"), vec![me.into()]).await?;
    }
    transaction.commit().await
}

/// All targets that anybody scrapes, by key.
pub(super) async fn targets<D: Database>(database: &D) -> Result<Vec<LeasedTarget>, StoreError> {
    let sql = "SELECT target_lease.target_key, collector_id, described, scraped_at_ms FROM target_lease \
               LEFT JOIN target ON target.target_key = target_lease.target_key ORDER BY target_lease.target_key";
    let rows = database.begin_read().await?.fetch(sql, vec![]).await?;
    let target = |row: &super::database::Row| LeasedTarget {
        key: row.text(0).into(),
        collector_id: row.text(1).into(),
        described: row.text(2).to_owned(),
        scraped_at_ms: Some(row.int(3)).filter(|at_ms| *at_ms > 0),
    };
    Ok(rows.iter().map(target).collect())
}
