//! The store in a Postgres database, which several collectors may share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::StoreError;
use super::caches::Caches;
use super::database::{Database, Terms, Transaction, impl_transaction};
use super::dictionary::refresh_edges;
use super::migration;
use super::schema::Dialect;
use super::span_rows;

/// As which the connections show in `pg_stat_activity`.
const APPLICATION: &str = "sidelight";

/// Connections of one collector, unless it is told otherwise.
pub const CONNECTIONS_DEFAULT: u32 = 8;
/// The least: one writes, one renews leases while it does, one answers.
pub const CONNECTIONS_MIN: u32 = 3;
/// The most; what one collector does at a time needs far fewer.
pub const CONNECTIONS_MAX: u32 = 100;
/// Held by whoever brings the schema to its version.
const MIGRATION_LOCK: i64 = 20_007;
/// How long a query waits for a connection: for a free one, or for a database that is away.
const ACQUIRE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long one statement of a query may take before the database counts as silent: a year of rollups takes seconds.
const READ_TIME_MAX: Duration = Duration::from_secs(30);
/// The same of a write, for which somebody at a door waits; the longest wait for their turn behind another collector's.
const WRITE_TIME_MAX: Duration = Duration::from_secs(8);

/// Migrations of `migrations/postgres`.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");

/// Whether a URL says that statements are not to be kept: `statement-cache-capacity=0`, as PgBouncer needs it where it
/// hands out a server for each transaction.
fn keeps_statements(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    !query.split('&').any(|pair| pair == "statement-cache-capacity=0")
}

/// A pool of connections to one database.
#[derive(Clone)]
pub struct PgStore {
    pool: PgPool,
    caches: Arc<Caches>,
    keeps_statements: bool,
    /// Waits for every answer as long as it takes.
    is_patient: bool,
}

impl_transaction!(PgTransaction, sqlx::Postgres);

#[async_trait]
impl Database for PgStore {
    const DIALECT: Dialect = Dialect::Postgres;

    fn caches(&self) -> &Caches {
        &self.caches
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(PgTransaction::begin(&self.pool, "BEGIN", self.terms(WRITE_TIME_MAX)).await?))
    }

    async fn begin_read(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Ok(Box::new(PgTransaction::begin(&self.pool, begin, self.terms(READ_TIME_MAX)).await?))
    }

    async fn close_pools(&self) {
        self.pool.close().await;
    }
}

impl PgStore {
    /// Connects and brings the schema to this version; collectors that start together take turns.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, CONNECTIONS_DEFAULT).await
    }

    /// As [`Self::connect`], with so many connections at most.
    pub async fn connect_with(url: &str, connections: u32) -> Result<Self, StoreError> {
        let (store, place) = Self::open(url, connections).await?;
        store.migrate().await.map_err(|source| migration::failed(place, source))?;
        refresh_edges(&store, &mut *store.begin_read().await?).await?;
        span_rows::convert(&store).await?;
        Ok(store)
    }

    /// Connects to a database that has this version's schema.
    pub(super) async fn connect_as_is(url: &str) -> Result<Self, StoreError> {
        let (store, place) = Self::open(url, CONNECTIONS_DEFAULT).await?;
        let applied = sqlx::query_scalar(migration::APPLIED).persistent(false).fetch_all(&store.pool).await;
        migration::must_be_current(place, &MIGRATIONS, applied)?;
        Ok(store.patient())
    }

    /// For a tool, for which somebody waits who sees that it takes its time: it reads years in one statement, and commits a
    /// whole copy in another.
    #[must_use]
    pub(super) fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    fn terms(&self, limit: Duration) -> Terms {
        Terms { limit: (!self.is_patient).then_some(limit), keeps_statements: self.keeps_statements }
    }

    /// All in one transaction: what a session locks is lost behind PgBouncer, which may give its server to somebody else.
    async fn migrate(&self) -> Result<(), sqlx::migrate::MigrateError> {
        let mut transaction = self.pool.begin().await?;
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut *transaction).await?;
        let mut migrations =
            sqlx::migrate::Migrator { migrations: MIGRATIONS.migrations.clone(), ..sqlx::migrate::Migrator::DEFAULT };
        migrations.set_locking(false);
        migrations.run(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn open(url: &str, connections: u32) -> Result<(Self, String), StoreError> {
        // The URL may carry a password, so errors name only where the database is.
        let options: PgConnectOptions =
            url.parse().map_err(|source| StoreError::Open { place: "postgres".to_owned(), source })?;
        let place = format!("postgres://{}:{}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIME_MAX)
            .connect_with(options.application_name(APPLICATION))
            .await
            .map_err(|source| StoreError::Open { place: place.clone(), source })?;
        Ok((Self { pool, caches: Arc::default(), keeps_statements: keeps_statements(url), is_patient: false }, place))
    }

    /// Whether another collector or tool is connected to the same database.
    pub(super) async fn has_other_users(&self) -> Result<bool, StoreError> {
        // This pool has one connection as long as nobody asks for two at once.
        let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 \
                   AND pid <> pg_backend_pid()";
        let count: i64 = sqlx::query_scalar(sql).bind(APPLICATION).fetch_one(&self.pool).await?;
        Ok(count > i64::from(self.pool.size()) - 1)
    }

    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn doors_do_not_wait_for_ever_and_tools_do() {
        let pool = PgPoolOptions::new().connect_lazy("postgres://127.0.0.1:1/x").unwrap();
        let store = PgStore { pool, caches: Arc::default(), keeps_statements: true, is_patient: false };
        assert_eq!(store.terms(WRITE_TIME_MAX).limit, Some(WRITE_TIME_MAX));
        assert_eq!(store.patient().terms(WRITE_TIME_MAX).limit, None);
    }
}
