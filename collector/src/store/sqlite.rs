//! The store in one SQLite file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use async_trait::async_trait;

use super::StoreError;
use super::caches::Caches;
use super::database::{Database, Terms, Transaction, impl_transaction};
use super::dictionary::refresh_edges;
use super::migration;
use super::schema::Dialect;
use super::span_rows;

/// Connections that read at the same time; WAL lets them run beside the writer.
const READERS_MAX: u32 = 4;
/// How long a statement waits for the writer of another pool or process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A file answers when it can.
const TERMS: Terms = Terms { limit: None, keeps_statements: true };

/// Migrations of `migrations/sqlite`.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");

/// One file, one writing connection, several reading ones.
#[derive(Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    caches: Arc<Caches>,
}

// A local file answers: with an error, or when the writer of another process is done.
impl_transaction!(SqliteTransaction, sqlx::Sqlite);

#[async_trait]
impl Database for SqliteStore {
    const DIALECT: Dialect = Dialect::Sqlite;

    fn caches(&self) -> &Caches {
        &self.caches
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        // Immediate: a deferred transaction that turns from reading to writing can be refused halfway.
        Ok(Box::new(SqliteTransaction::begin(&self.writer, "BEGIN IMMEDIATE", TERMS).await?))
    }

    async fn begin_read(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(SqliteTransaction::begin(&self.readers, "BEGIN", TERMS).await?))
    }

    async fn close_pools(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl SqliteStore {
    /// Opens or creates the file and brings its schema to this version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        // Incremental vacuum only has an effect on a file that is made now.
        let making = options(path).create_if_missing(true).auto_vacuum(SqliteAutoVacuum::Incremental);
        let store = Self::connect(path, making, options(path)).await?;
        let place = || path.display().to_string();
        MIGRATIONS.run(&store.writer).await.map_err(|source| migration::failed(place(), source))?;
        refresh_edges(&store, &mut *store.begin_read().await?).await?;
        span_rows::convert(&store).await?;
        Ok(store)
    }

    /// Opens a file that has this version's schema, to work on it.
    pub(super) async fn open_as_is(path: &Path) -> Result<Self, StoreError> {
        Self::connect(path, options(path), options(path)).await?.must_be_current(path).await
    }

    /// Opens a file that has this version's schema, and writes nothing to it.
    pub(super) async fn open_to_look(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).read_only(true);
        Self::connect(path, options.clone(), options).await?.must_be_current(path).await
    }

    async fn connect(path: &Path, writing: SqliteConnectOptions, reading: SqliteConnectOptions) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { place: path.display().to_string(), source };
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(writing).await.map_err(open)?;
        // Not connected yet: there may be nothing to read.
        let readers = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_lazy_with(reading.read_only(true));
        Ok(Self { writer, readers, caches: Arc::default() })
    }

    async fn must_be_current(self, path: &Path) -> Result<Self, StoreError> {
        let applied = sqlx::query_scalar(migration::APPLIED).fetch_all(&self.readers).await;
        migration::must_be_current(path.display().to_string(), &MIGRATIONS, applied)?;
        Ok(self)
    }

    /// The one connection that writes. Keep transactions on it short: telemetry waits behind them.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.writer
    }

    /// Connections that only read.
    #[must_use]
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    // FULL, not NORMAL: in WAL mode NORMAL may lose the last commits when the machine goes down, and a batch that was
    // answered with success must not be lost. Commits are grouped, so one sync serves many batches.
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
}
