//! Forgets edges that nothing tells of any more, while any number of collectors write.
//!
//! An id that another collector holds in memory must not be deleted under it. So an unused edge is retired first: the
//! dictionary gets a new generation, and everybody who writes reads it anew before the next id is used; whoever needs a
//! retired edge brings it back by writing it again. What is still retired and unused after that is deleted.

use std::collections::HashSet;
use std::time::Duration;

use super::StoreError;
use super::database::{Database, Transaction};
use super::dictionary::begin_next_generation;
use super::plan::Part;
use super::read::tables_of;
use super::schema::Family;

/// An edge this young is left alone: what it stands for may only just begin.
const AGE_MIN: Duration = Duration::from_secs(3600);
/// Ids in one statement.
const IDS_PER_STATEMENT: usize = 1_000;

/// Deletes the edges that neither a kept rollup nor a series of a target names, and returns how many those were.
pub(super) async fn forget_edges<D: Database>(database: &D, now_ms: i64) -> Result<u64, StoreError> {
    let before_ms = now_ms.saturating_sub(i64::try_from(AGE_MIN.as_millis()).unwrap_or(i64::MAX));
    let mut unused = unused(database, before_ms).await?;
    if unused.is_empty() {
        return Ok(0);
    }
    let mut transaction = begin_next_generation(database).await?;
    update(&mut *transaction, "UPDATE edge SET retired = 1 WHERE edge_id IN", &unused).await?;
    transaction.commit().await?;

    // From here on nobody writes to one of them without bringing it back; what was written until then is seen now.
    let used = used(database).await?;
    let (came_back, gone): (Vec<i64>, Vec<i64>) = unused.drain(..).partition(|id| used.contains(id));
    let mut transaction = begin_next_generation(database).await?;
    update(&mut *transaction, "UPDATE edge SET retired = 0 WHERE edge_id IN", &came_back).await?;
    let deleted = update(&mut *transaction, "DELETE FROM edge WHERE retired = 1 AND edge_id IN", &gone).await?;
    transaction.commit().await?;
    Ok(deleted)
}

async fn unused<D: Database>(database: &D, before_ms: i64) -> Result<Vec<i64>, StoreError> {
    let used = used(database).await?;
    let sql = "SELECT edge_id FROM edge WHERE created_at_ms < $1 ORDER BY edge_id";
    let rows = database.begin_read().await?.fetch(sql, vec![before_ms.into()]).await?;
    Ok(rows.iter().map(|row| row.int(0)).filter(|id| !used.contains(id)).collect())
}

/// Finer rollups are not looked at: every step is in an hour as well, and hours are kept at least as long.
async fn used<D: Database>(database: &D) -> Result<HashSet<i64>, StoreError> {
    let mut transaction = database.begin_read().await?;
    let always = Part { family: Family::Hour, from_s: i64::MIN / 2, to_s: i64::MAX / 2 };
    let mut tables = tables_of(D::DIALECT, &mut *transaction, always).await?;
    tables.push("series".to_owned());
    let mut used = HashSet::new();
    for table in tables {
        let rows = transaction.fetch(&format!("SELECT DISTINCT edge_id FROM {table}"), vec![]).await?;
        used.extend(rows.iter().map(|row| row.int(0)));
    }
    Ok(used)
}

async fn update(transaction: &mut dyn Transaction, statement: &str, ids: &[i64]) -> Result<u64, StoreError> {
    let mut changed = 0;
    for ids in ids.chunks(IDS_PER_STATEMENT) {
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        changed += transaction.execute(&format!("{statement} ({})", list.join(",")), vec![]).await?;
    }
    Ok(changed)
}
