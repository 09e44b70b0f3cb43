//! What the collector keeps, behind one interface with two databases: SQLite (embedded) and Postgres (shared).

use std::sync::Arc;

use async_trait::async_trait;

mod edge;
mod postgres;
pub mod revisions;
mod sqlite;
mod totals;

pub use edge::{EdgeFilter, EdgeLabels, in_namespaces};
pub use postgres::PgStore;
pub use sqlite::SqliteStore;
pub use totals::{EdgeAnswer, EdgeTotals, Histogram, SeriesAnswer, StepTotals, Totals, Window};

/// Puts edges into groups that a series sums; `None` leaves an edge out.
pub type EdgeGroups = Arc<dyn Fn(&EdgeLabels) -> Option<u8> + Send + Sync>;

/// A database that keeps what the mesh told.
///
/// Both implementations pass the same tests. All answers are of committed data. Windows are cut at the steps that are
/// kept (10 s, then 1 min, then 1 h as the past grows longer), and every answer says which window it really covers.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// `sqlite` or `postgres`.
    fn kind(&self) -> &'static str;

    /// Edges with traffic in the window and what they carried, in no particular order; all edges without a filter.
    async fn edges(&self, window: Window, filter: Option<EdgeFilter>) -> Result<EdgeAnswer, StoreError>;

    /// Traffic per step and group, oldest first. The step is rounded up to one that is kept.
    async fn edge_series(&self, window: Window, step_s: u64, groups: EdgeGroups) -> Result<SeriesAnswer, StoreError>;

    /// When a proxy of one of the namespaces (of any, when the list is empty) was last heard, not later than
    /// `before_ms`; `None` when never.
    async fn last_sample_ms(&self, namespaces: &[String], before_ms: i64) -> Result<Option<i64>, StoreError>;

    /// Namespaces that edges or scraped proxies name, sorted, without `unknown` and the empty one.
    async fn namespaces(&self) -> Result<Vec<String>, StoreError>;

    /// Labels of all edges that are kept, with or without traffic.
    async fn known_edges(&self) -> Result<Vec<Arc<EdgeLabels>>, StoreError>;
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("failed to open the database {place}")]
    Open {
        place: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("failed to bring the database {place} to this version's schema")]
    Migrate {
        place: String,
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    #[error("the database refused a query")]
    Query(#[from] sqlx::Error),
}
