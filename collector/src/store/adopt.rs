//! Lets a target go by another key without losing what it counted so far.

use std::sync::Arc;

use super::StoreError;
use super::database::{Database, Value};

pub(super) async fn adopt<D: Database>(database: &D, key: &str, former: &[Arc<str>]) -> Result<(), StoreError> {
    let mut keys: Vec<&str> = vec![key];
    keys.extend(former.iter().map(|former| &**former).filter(|former| *former != key));
    if keys.len() == 1 {
        return Ok(());
    }
    let places: Vec<String> = (1..=keys.len()).map(|n| format!("${n}")).collect();
    let values: Vec<Value> = keys.iter().map(|key| Value::from(*key)).collect();
    // In the same order everywhere, so that two collectors do not wait for each other.
    let sql = format!(
        "SELECT target_id, target_key FROM target WHERE target_key IN ({}) ORDER BY scraped_at_ms DESC, target_id",
        places.join(", ")
    );
    // Mostly there is nothing to do, and then nothing is locked.
    let rows = database.begin_read().await?.fetch(&sql, values.clone()).await?;
    if rows.is_empty() || (rows.len() == 1 && rows[0].text(1) == key) {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    let rows = transaction.fetch(&sql, values).await?;
    let Some((newest, older)) = rows.split_first() else { return Ok(()) };
    for row in older {
        for table in ["series", "target"] {
            let sql = format!("DELETE FROM {table} WHERE target_id = $1");
            transaction.execute(&sql, vec![row.int(0).into()]).await?;
        }
    }
    transaction.execute("UPDATE target SET target_key = $1 WHERE target_id = $2", vec![key.into(), newest.int(0).into()]).await?;
    transaction.commit().await
}
