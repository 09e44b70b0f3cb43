//! The dictionary of series in the database: read when it is first needed, written with the samples.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::OnceCell;
use tracing::warn;

use super::index::{SERIES_MAX, SeriesIndex, SeriesRows, StoredPair, StoredSeries};
use crate::store::database::{Database, Transaction, Value};
use crate::store::schema::Dialect;
use crate::store::{StoreError, bulk};

/// Ids that one process may give.
const IDS_PER_PROCESS: i64 = 1 << 32;
/// Ids in one statement.
const IDS_PER_STATEMENT: usize = 1_000;
/// Another collector's transaction may take so long from its begin to its end.
const TRANSACTION_MAX_S: i64 = 120;

/// What of the dictionary is held in memory.
#[derive(Default)]
pub(in crate::store) struct SampleCaches {
    index: OnceCell<Arc<SeriesIndex>>,
    /// Registered until then by the clock of the database, all series are known.
    known_until_s: AtomicI64,
}

impl SampleCaches {
    /// The rows are durable.
    pub fn committed(&self, rows: &SeriesRows) {
        if let Some(index) = self.index.get() {
            index.committed(rows);
        }
    }
}

/// The dictionary as it was when last looked at; read at first use.
pub(in crate::store) async fn index<D: Database>(database: &D) -> Result<Arc<SeriesIndex>, StoreError> {
    let caches = &database.caches().samples;
    let load = async || {
        let index = Arc::new(SeriesIndex::new(reserve(database).await?, SERIES_MAX));
        refresh_from(database, &index, i64::MIN).await?;
        Ok::<_, StoreError>(index)
    };
    caches.index.get_or_try_init(load).await.cloned()
}

/// The dictionary with what other collectors wrote meanwhile.
pub(in crate::store) async fn fresh_index<D: Database>(database: &D) -> Result<Arc<SeriesIndex>, StoreError> {
    let index = index(database).await?;
    // Nobody else writes to an SQLite file.
    if D::DIALECT == Dialect::Postgres {
        let known_until_s = database.caches().samples.known_until_s.load(Ordering::Relaxed);
        refresh_from(database, &index, known_until_s.saturating_sub(TRANSACTION_MAX_S)).await?;
    }
    Ok(index)
}

async fn reserve<D: Database>(database: &D) -> Result<i64, StoreError> {
    let mut transaction = database.begin().await?;
    let sql = "INSERT INTO store_sequence (name, value) VALUES ('series', 1) \
               ON CONFLICT (name) DO UPDATE SET value = store_sequence.value + 1 RETURNING value";
    let rows = transaction.fetch(sql, vec![]).await?;
    transaction.commit().await?;
    Ok(rows.first().map_or(0, |row| row.int(0)).saturating_mul(IDS_PER_PROCESS))
}

async fn refresh_from<D: Database>(database: &D, index: &SeriesIndex, from_s: i64) -> Result<(), StoreError> {
    let mut transaction = database.begin_read().await?;
    let clock = match D::DIALECT {
        Dialect::Sqlite => "SELECT unixepoch()",
        Dialect::Postgres => "SELECT CAST(extract(epoch FROM now()) AS BIGINT)",
    };
    let now_s = transaction.fetch(clock, vec![]).await?.first().map_or(0, |row| row.int(0));
    let sql = "SELECT label_pair_id, kept_until_s, name, value FROM label_pair WHERE registered_s >= $1";
    let pairs = transaction.fetch(sql, vec![from_s.into()]).await?;
    let pairs = pairs.iter().map(|row| StoredPair {
        id: row.int(0),
        kept_until_s: row.int(1),
        name: row.text(2).to_owned(),
        value: row.text(3).to_owned(),
    });
    let sql = "SELECT series_id, kept_until_s, group_id, labels FROM metric_series WHERE registered_s >= $1";
    let series = transaction.fetch(sql, vec![from_s.into()]).await?;
    let series = series.iter().map(|row| StoredSeries {
        id: row.int(0),
        kept_until_s: row.int(1),
        group: row.int(2),
        pairs: row.blob(3).to_vec(),
    });
    let unreadable = index.load(pairs.collect(), series.collect());
    if unreadable > 0 {
        warn!(unreadable, "series of the dictionary cannot be read");
    }
    database.caches().samples.known_until_s.fetch_max(now_s, Ordering::Relaxed);
    Ok(())
}

/// Writes the rows of a group; those that exist are kept longer.
pub(in crate::store) async fn write<D: Database>(
    transaction: &mut dyn Transaction,
    group: &[&SeriesRows],
) -> Result<(), StoreError> {
    // In order, so that two collectors wait for each other in the same order, and each row once.
    let mut pairs = BTreeMap::new();
    let mut series = BTreeMap::new();
    for rows in group {
        for (id, name, value) in &rows.pairs {
            let kept = pairs.entry(*id).or_insert((name, value, 0));
            kept.2 = rows.kept_until_s.max(kept.2);
        }
        for (one, blob) in &rows.series {
            let kept = series.entry(one.id).or_insert((one.group, blob, 0));
            kept.2 = rows.kept_until_s.max(kept.2);
        }
    }
    let pairs = pairs.into_iter().flat_map(|(id, (name, value, kept_until_s))| {
        [id.into(), Value::from(&**name), Value::from(&**value), kept_until_s.into()]
    });
    insert::<D>(transaction, ["label_pair", "label_pair_id", "name", "value"], pairs.collect()).await?;
    let series = series
        .into_iter()
        .flat_map(|(id, (group, blob, kept_until_s))| [id.into(), group.into(), Value::Blob(blob.clone()), kept_until_s.into()]);
    insert::<D>(transaction, ["metric_series", "series_id", "group_id", "labels"], series.collect()).await
}

async fn insert<D: Database>(
    transaction: &mut dyn Transaction,
    [table, key, second, third]: [&str; 4],
    values: Vec<Value>,
) -> Result<(), StoreError> {
    let into = format!("{table} ({key}, {second}, {third}, kept_until_s)");
    let tail = format!(
        "ON CONFLICT ({key}) DO UPDATE SET kept_until_s = CASE WHEN {table}.kept_until_s > excluded.kept_until_s \
         THEN {table}.kept_until_s ELSE excluded.kept_until_s END"
    );
    bulk::insert(D::DIALECT, transaction, &into, &tail, 4, values).await?;
    Ok(())
}

/// Forgets series that have had no sample since.
pub(in crate::store) async fn forget<D: Database>(database: &D, before_s: i64) -> Result<(), StoreError> {
    if let Some(index) = database.caches().samples.index.get() {
        if D::DIALECT == Dialect::Postgres {
            keep_what_others_use(database, index, before_s).await?;
        }
        index.forget(before_s);
    }
    let mut transaction = database.begin().await?;
    for table in ["metric_series", "label_pair"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE kept_until_s <= $1"), vec![before_s.into()]).await?;
    }
    transaction.commit().await
}

/// What this process knows of how long a series is kept is of the time when it last read or wrote it.
async fn keep_what_others_use<D: Database>(database: &D, index: &SeriesIndex, before_s: i64) -> Result<(), StoreError> {
    // Their new series may use pairs that nothing here uses any more.
    fresh_index(database).await?;
    for ids in index.over(before_s).chunks(IDS_PER_STATEMENT) {
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        let sql = format!(
            "SELECT series_id, kept_until_s FROM metric_series WHERE kept_until_s > {before_s} AND series_id IN ({})",
            list.join(",")
        );
        for row in database.begin_read().await?.fetch(&sql, vec![]).await? {
            index.keep(row.int(0), row.int(1));
        }
    }
    Ok(())
}
