//! A place for a store, so that one test runs on both databases and can open its store again.

use std::sync::Arc;

use sidelight_collector::store::{ExportQueue, PgStore, SqliteStore, Store, TraceSampling};

use super::postgres;

pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

impl Place {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub async fn postgres() -> Self {
        Self::Postgres(postgres::database().await)
    }

    /// Opens the store; a second time on the same data.
    pub async fn open(&self) -> Arc<dyn Store> {
        self.open_with_queue().await.0
    }

    /// The same with the queue of spans to export.
    pub async fn open_with_queue(&self) -> (Arc<dyn Store>, Arc<dyn ExportQueue>) {
        let (store, queue, _) = self.open_to_sample().await;
        (store, queue)
    }

    /// The same with what the judge of traces needs.
    pub async fn open_to_sample(&self) -> (Arc<dyn Store>, Arc<dyn ExportQueue>, Arc<dyn TraceSampling>) {
        match self {
            Self::Sqlite(folder) => {
                let store = Arc::new(SqliteStore::open(&folder.path().join("sidelight.db")).await.unwrap());
                (store.clone(), store.clone(), store)
            }
            Self::Postgres(url) => {
                let store = Arc::new(PgStore::connect(url).await.unwrap());
                (store.clone(), store.clone(), store)
            }
        }
    }
}

/// Runs `async fn name(place: &Place)` on both databases.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use $crate::support::place::Place;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(&Place::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(&Place::postgres().await).await;
            }
        }
    )+};
}
