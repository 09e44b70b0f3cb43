//! The store in a Postgres database, which several collectors may share.

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::StoreError;

/// Connections of one collector.
const CONNECTIONS_MAX: u32 = 8;

/// Migrations of `migrations/postgres`.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");

/// A pool of connections to one database.
#[derive(Clone)]
pub struct PgStore {
    pool: PgPool,
}

impl PgStore {
    /// Connects and brings the schema to this version; collectors that start together take turns.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // The URL may carry a password, so errors name only where the database is.
        let options: sqlx::postgres::PgConnectOptions =
            url.parse().map_err(|source| StoreError::Open { place: "postgres".to_owned(), source })?;
        let place = format!("postgres://{}:{}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { place: place.clone(), source })?;
        MIGRATIONS.run(&pool).await.map_err(|source| StoreError::Migrate { place, source })?;
        Ok(Self { pool })
    }

    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}
