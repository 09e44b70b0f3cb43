//! Opens the database that the settings name.

use std::sync::Arc;

use crate::settings::Database;
use crate::store::revisions::RevisionStore;
use crate::store::{ExportQueue, PgStore, SqliteStore, Store, StoreError, TraceSampling};

/// One database as all of its interfaces.
pub(super) struct Stores {
    pub store: Arc<dyn Store>,
    pub revisions: Arc<dyn RevisionStore>,
    pub export_queue: Arc<dyn ExportQueue>,
    pub sampling: Arc<dyn TraceSampling>,
}

pub(super) async fn open(database: &Database, connections: u32) -> Result<Stores, StoreError> {
    match database {
        Database::Sqlite(path) => {
            let store = Arc::new(SqliteStore::open(path).await?);
            // No other process has this file.
            store.take_over().await?;
            Ok(Stores { store: store.clone(), revisions: store.clone(), export_queue: store.clone(), sampling: store })
        }
        Database::Postgres(url) => {
            let store = Arc::new(PgStore::connect_with(url, connections).await?);
            Ok(Stores { store: store.clone(), revisions: store.clone(), export_queue: store.clone(), sampling: store })
        }
    }
}
