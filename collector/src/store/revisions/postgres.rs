//! Configuration revisions in Postgres: each query in a transaction and none of them kept, so that PgBouncer may stand in
//! between.

use futures_util::future::BoxFuture;
use sidelight_api::config::ObjectKey;
use sqlx::{PgConnection, Row};

use super::row::{action_word, failed, follow, read, select, signed};
use super::{CHANGES_MAX, HISTORY_REVISIONS_MAX, NewRevision, RevisionError, RevisionStore, StoredRevision};
use crate::store::PgStore;

/// Key of the advisory lock that lets one writer of configuration in at a time ("config" in ASCII).
const WRITER_LOCK: i64 = 0x636f_6e66_6967;

const INSERT: &str = "INSERT INTO config_revision (kind, namespace, name, revision, action, yaml, author, message, \
                      created_at_ms, object_since_ms, rolled_back_to) \
                      VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) RETURNING config_revision_id";

impl RevisionStore for PgStore {
    fn current(&self) -> BoxFuture<'_, Result<Vec<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let rows = sqlx::query(select!(
                "config_head",
                r#"WHERE action <> 'deleted' ORDER BY kind COLLATE "C", namespace COLLATE "C", name COLLATE "C""#
            ))
            .persistent(false)
            .fetch_all(&mut *self.pool().begin().await.map_err(failed("list"))?)
            .await
            .map_err(failed("list"))?;
            rows.iter().map(read).collect()
        })
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let mut transaction = self.pool().begin().await.map_err(failed("read"))?;
            head(&mut transaction, key).await
        })
    }

    fn history<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Vec<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let rows = sqlx::query(select!(
                "config_revision",
                "WHERE kind = $1 AND namespace = $2 AND name = $3 ORDER BY revision DESC LIMIT $4"
            ))
            .bind(&key.kind)
            .bind(&key.namespace)
            .bind(&key.name)
            .bind(i64::from(HISTORY_REVISIONS_MAX))
            .persistent(false)
            .fetch_all(&mut *self.pool().begin().await.map_err(failed("list"))?)
            .await
            .map_err(failed("list"))?;
            rows.iter().map(read).collect()
        })
    }

    fn revision<'a>(&'a self, key: &'a ObjectKey, revision: u64) -> BoxFuture<'a, Result<Option<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let row =
                sqlx::query(select!("config_revision", "WHERE kind = $1 AND namespace = $2 AND name = $3 AND revision = $4"))
                    .bind(&key.kind)
                    .bind(&key.namespace)
                    .bind(&key.name)
                    .bind(signed(revision))
                    .persistent(false)
                    .fetch_optional(&mut *self.pool().begin().await.map_err(failed("read"))?)
                    .await
                    .map_err(failed("read"))?;
            row.as_ref().map(read).transpose()
        })
    }

    fn append(&self, batch: Vec<NewRevision>) -> BoxFuture<'_, Result<Vec<StoredRevision>, RevisionError>> {
        Box::pin(async move {
            let mut transaction = self.pool().begin().await.map_err(failed("write"))?;
            // Two collectors that save the same object take turns, so the second sees the first one's revision.
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(WRITER_LOCK)
                .persistent(false)
                .execute(&mut *transaction)
                .await
                .map_err(failed("write"))?;
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
            let rows = sqlx::query(select!(
                "config_revision",
                "WHERE created_at_ms >= $1 AND created_at_ms < $2 AND ($3 OR namespace = ANY($4)) \
                 ORDER BY created_at_ms DESC, config_revision_id DESC LIMIT $5"
            ))
            .bind(from_ms)
            .bind(to_ms)
            .bind(namespaces.is_empty())
            .bind(namespaces)
            .bind(i64::from(CHANGES_MAX))
            .persistent(false)
            .fetch_all(&mut *self.pool().begin().await.map_err(failed("list"))?)
            .await
            .map_err(failed("list"))?;
            rows.iter().rev().map(read).collect()
        })
    }

    fn newest_sequence(&self) -> BoxFuture<'_, Result<i64, RevisionError>> {
        Box::pin(async move {
            sqlx::query_scalar("SELECT COALESCE(MAX(config_revision_id), 0) FROM config_revision")
                .persistent(false)
                .fetch_one(&mut *self.pool().begin().await.map_err(failed("read"))?)
                .await
                .map_err(failed("read"))
        })
    }
}

async fn head(connection: &mut PgConnection, key: &ObjectKey) -> Result<Option<StoredRevision>, RevisionError> {
    let row = sqlx::query(select!(
        "config_revision",
        "WHERE kind = $1 AND namespace = $2 AND name = $3 ORDER BY revision DESC LIMIT 1"
    ))
    .bind(&key.kind)
    .bind(&key.namespace)
    .bind(&key.name)
    .persistent(false)
    .fetch_optional(connection)
    .await
    .map_err(failed("read"))?;
    row.as_ref().map(read).transpose()
}

async fn insert(connection: &mut PgConnection, row: &StoredRevision) -> Result<i64, RevisionError> {
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
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(failed("write"))?;
    written.try_get(0).map_err(failed("write"))
}
