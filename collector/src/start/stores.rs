//! Opens the database that the settings name.

use std::sync::Arc;

use crate::settings::Database;
use crate::store::revisions::RevisionStore;
use crate::store::{PgStore, SqliteStore, Store, StoreError};

/// The same database as both of its interfaces.
pub(super) async fn open(database: &Database, connections: u32) -> Result<(Arc<dyn Store>, Arc<dyn RevisionStore>), StoreError> {
    match database {
        Database::Sqlite(path) => {
            let store = Arc::new(SqliteStore::open(path).await?);
            Ok((store.clone(), store))
        }
        Database::Postgres(url) => {
            let store = Arc::new(PgStore::connect_with(url, connections).await?);
            Ok((store.clone(), store))
        }
    }
}
