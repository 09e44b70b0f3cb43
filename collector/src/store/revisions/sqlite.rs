//! Configuration revisions in SQLite.

use futures_util::future::BoxFuture;
use sidelight_api::config::ObjectKey;
use sqlx::{Row, SqliteConnection};

use super::row::{action_word, failed, follow, read, select, signed};
use super::{CHANGES_MAX, HISTORY_REVISIONS_MAX, NewRevision, RevisionError, RevisionStore, StoredRevision};
use crate::store::SqliteStore;

const INSERT: &str = "INSERT INTO config_revision (kind, namespace, name, revision, action, yaml, author, message, \
                      created_at_ms, object_since_ms, rolled_back_to) VALUES (?,?,?,?,?,?,?,?,?,?,?) \
                      RETURNING config_revision_id";

impl RevisionStore for SqliteStore {
    fn current(&self) -> BoxFuture<'_, Result<Vec<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let rows = sqlx::query(select!("config_head", "WHERE action <> 'deleted' ORDER BY kind, namespace, name"))
                .fetch_all(self.readers())
                .await
                .map_err(failed("list"))?;
            rows.iter().map(read).collect()
        })
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let mut connection = self.readers().acquire().await.map_err(failed("read"))?;
            head(&mut connection, key).await
        })
    }

    fn history<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Vec<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let rows = sqlx::query(select!(
                "config_revision",
                "WHERE kind = ? AND namespace = ? AND name = ? ORDER BY revision DESC LIMIT ?"
            ))
            .bind(&key.kind)
            .bind(&key.namespace)
            .bind(&key.name)
            .bind(HISTORY_REVISIONS_MAX)
            .fetch_all(self.readers())
            .await
            .map_err(failed("list"))?;
            rows.iter().map(read).collect()
        })
    }

    fn revision<'a>(&'a self, key: &'a ObjectKey, revision: u64) -> BoxFuture<'a, Result<Option<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let row = sqlx::query(select!("config_revision", "WHERE kind = ? AND namespace = ? AND name = ? AND revision = ?"))
                .bind(&key.kind)
                .bind(&key.namespace)
                .bind(&key.name)
                .bind(signed(revision))
                .fetch_optional(self.readers())
                .await
                .map_err(failed("read"))?;
            row.as_ref().map(read).transpose()
        })
    }

    fn append(&self, batch: Vec<NewRevision>) -> BoxFuture<'_, Result<Vec<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            // Takes the write lock at once: a reader that becomes a writer would be refused as busy instead of waiting.
            let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await.map_err(failed("write"))?;
            let mut written = Vec::with_capacity(batch.len());
            for new in batch {
                let before = head(&mut transaction, &new.key).await?;
                let mut row = follow(new, before.as_ref())?;
                row.sequence = insert(&mut transaction, &row).await?;
                written.push(row);
            }
            transaction.commit().await.map_err(failed("write"))?;
            Ok(written)
        })
    }

    fn changes<'a>(
        &'a self,
        from_ms: i64,
        to_ms: i64,
        namespaces: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let wanted = serde_json::Value::from(namespaces).to_string();
            let rows = sqlx::query(select!(
                "config_revision",
                "WHERE created_at_ms >= ? AND created_at_ms < ? \
                 AND (? OR namespace IN (SELECT value FROM json_each(?))) \
                 ORDER BY created_at_ms DESC, config_revision_id DESC LIMIT ?"
            ))
            .bind(from_ms)
            .bind(to_ms)
            .bind(namespaces.is_empty())
            .bind(wanted)
            .bind(CHANGES_MAX)
            .fetch_all(self.readers())
            .await
            .map_err(failed("list"))?;
            rows.iter().rev().map(read).collect()
        })
    }

    fn newest_sequence(&self) -> BoxFuture<'_, Result<i64, RevisionError>> {
        Box::pin(async move {
            sqlx::query_scalar("SELECT COALESCE(MAX(config_revision_id), 0) FROM config_revision")
                .fetch_one(self.readers())
                .await
                .map_err(failed("read"))
        })
    }
}

async fn head(connection: &mut SqliteConnection, key: &ObjectKey) -> Result<Option<StoredRevision>, RevisionError> {
    let row =
        sqlx::query(select!("config_revision", "WHERE kind = ? AND namespace = ? AND name = ? ORDER BY revision DESC LIMIT 1"))
            .bind(&key.kind)
            .bind(&key.namespace)
            .bind(&key.name)
            .fetch_optional(connection)
            .await
            .map_err(failed("read"))?;
    row.as_ref().map(read).transpose()
}

async fn insert(connection: &mut SqliteConnection, row: &StoredRevision) -> Result<i64, RevisionError> {
    let written = sqlx::query(INSERT)
        .bind(&row.key.kind)
        .bind(&row.key.namespace)
        .bind(&row.key.name)
        .bind(signed(row.revision))
        .bind(action_word(row.action))
        .bind(&row.yaml)
        .bind(&row.author)
        .bind(&row.message)
        .bind(row.created_at_ms)
        .bind(row.object_since_ms)
        .bind(row.rolled_back_to.map(signed))
        .fetch_one(connection)
        .await
        .map_err(failed("write"))?;
    written.try_get(0).map_err(failed("write"))
}
