//! Gives back the room that deleted rows leave behind.

use std::path::Path;

use serde::Serialize;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::AdminError;
use crate::clock::now_ms;
use crate::store::{PgStore, SqliteStore, Store, StoreError, compacts};

#[derive(Clone, Debug, Serialize)]
pub struct Compacted {
    /// Small blocks that became fewer.
    pub merged_blocks: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// What was left out, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<&'static str>,
}

/// Merges small blocks until there is nothing left to merge, as a collector does in the background; several may at once.
async fn merge(store: &dyn Store) -> Result<u64, AdminError> {
    let mut merged = 0;
    for how in &compacts(store).await? {
        while let Some(step) = store.merge_blocks(how, now_ms()).await? {
            merged += step.from as u64;
        }
    }
    Ok(merged)
}

/// Rewrites the file when nobody else has it open. A rewrite holds up every writer for as long as it takes, so that
/// beside a collector only the log is taken into the file.
pub(super) async fn sqlite(store: &SqliteStore, path: &Path) -> Result<Compacted, AdminError> {
    let bytes_before = size(path)?;
    let merged_blocks = merge(store).await?;
    // Its own connections would be in the way.
    store.close().await;
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.map_err(query)?;
    let is_alone = is_alone(&mut connection).await?;
    let statement = if is_alone { "VACUUM" } else { "PRAGMA wal_checkpoint(PASSIVE)" };
    sqlx::raw_sql(statement).execute(&mut connection).await.map_err(query)?;
    connection.close().await.map_err(query)?;
    let left_out = (!is_alone).then_some("a collector has the file open, so the file was not rewritten; stop it for that");
    Ok(Compacted { merged_blocks, bytes_before, bytes_after: size(path)?, left_out })
}

/// Whoever has a database in WAL mode open holds a shared lock on it; this takes the exclusive one, if it can be had.
async fn is_alone(connection: &mut SqliteConnection) -> Result<bool, AdminError> {
    let locked = sqlx::raw_sql("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
    match locked.execute(&mut *connection).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == "5") => {
            sqlx::raw_sql("PRAGMA locking_mode = NORMAL").execute(connection).await.map_err(query)?;
            Ok(false)
        }
        Err(error) => Err(query(error)),
    }
}

/// Postgres does it table by table, beside everybody else.
pub(super) async fn postgres(store: &PgStore) -> Result<Compacted, AdminError> {
    let bytes_before = database_size(store).await?;
    let merged_blocks = merge(store).await?;
    let mut connection = store.pool().acquire().await.map_err(query)?;
    sqlx::raw_sql("VACUUM (ANALYZE)").execute(&mut *connection).await.map_err(query)?;
    Ok(Compacted { merged_blocks, bytes_before, bytes_after: database_size(store).await?, left_out: None })
}

async fn database_size(store: &PgStore) -> Result<u64, AdminError> {
    let size: i64 =
        sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(store.pool()).await.map_err(query)?;
    Ok(u64::try_from(size).unwrap_or(0))
}

fn size(path: &Path) -> Result<u64, AdminError> {
    let metadata = std::fs::metadata(path);
    Ok(metadata.map_err(|source| AdminError::File { doing: "look at", path: path.to_owned(), source })?.len())
}

fn query(error: sqlx::Error) -> AdminError {
    StoreError::from(error).into()
}
