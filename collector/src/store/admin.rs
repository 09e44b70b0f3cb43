//! The tools around a database: look into it, check it, make it smaller, copy it. They need no collector, and most of them
//! may run beside one.

mod backup;
mod catalog;
mod check;
mod check_blocks;
mod check_rollups;
mod compact;
mod copy;
mod digest;
mod stats;

use std::path::{Path, PathBuf};

use super::{PgStore, SqliteStore, Store as _, StoreError};
use crate::settings;

pub use check::{CheckReport, Finding};
pub use compact::Compacted;
pub use copy::{Copied, Progress};
pub use stats::{Stats, TableStats};

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("failed to {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{place} is there already; choose another name, or take it away first")]
    Exists { place: String },
    #[error("{place} holds data already; copy into a database that is new")]
    NotEmpty { place: String },
    #[error("{place} is used by a collector; stop it first")]
    InUse { place: String },
    #[error("there is no database at {place}")]
    Missing { place: String },
    #[error("the table {table} came out different from how it was read; nothing was kept of the copy")]
    Differs { table: String },
    #[error("the table {table} is not of the same shape in both databases")]
    Shape { table: String },
}

/// A database that the tools work on.
pub struct Admin {
    opened: Opened,
    place: String,
}

enum Opened {
    Sqlite(SqliteStore, PathBuf),
    Postgres(PgStore),
}

impl Admin {
    /// Opens a database that is there, to look at it: nothing of it is changed, its schema neither.
    pub async fn look(database: &settings::Database) -> Result<Self, AdminError> {
        let place = place(database);
        let opened = match database {
            settings::Database::Sqlite(path) => {
                must_exist(path)?;
                Opened::Sqlite(SqliteStore::open_to_look(path).await?, path.clone())
            }
            settings::Database::Postgres(url) => Opened::Postgres(PgStore::connect_as_is(url).await?),
        };
        Ok(Self { opened, place })
    }

    /// Opens a database that is there, to work on it.
    pub async fn open(database: &settings::Database) -> Result<Self, AdminError> {
        let place = place(database);
        let opened = match database {
            settings::Database::Sqlite(path) => {
                must_exist(path)?;
                Opened::Sqlite(SqliteStore::open_as_is(path).await?, path.clone())
            }
            settings::Database::Postgres(url) => Opened::Postgres(PgStore::connect_as_is(url).await?),
        };
        Ok(Self { opened, place })
    }

    /// Reads everything and tells what does not fit. May run beside a collector.
    pub async fn check(&self) -> Result<CheckReport, AdminError> {
        match &self.opened {
            Opened::Sqlite(store, _) => check::check(store).await,
            Opened::Postgres(store) => check::check(store).await,
        }
    }

    /// What takes how much room. May run beside a collector.
    pub async fn stats(&self) -> Result<Stats, AdminError> {
        match &self.opened {
            Opened::Sqlite(store, _) => stats::stats(store).await,
            Opened::Postgres(store) => stats::stats(store).await,
        }
    }

    /// Gives room back. Beside a collector it does what can be done without holding it up.
    pub async fn compact(&self) -> Result<Compacted, AdminError> {
        match &self.opened {
            Opened::Sqlite(store, path) => compact::sqlite(store, path).await,
            Opened::Postgres(store) => compact::postgres(store).await,
        }
    }

    /// Writes one consistent state into a new file, an SQLite database in either case. May run beside a collector.
    pub async fn backup(&self, file: &Path, progress: Progress<'_>) -> Result<Copied, AdminError> {
        match &self.opened {
            Opened::Sqlite(store, _) => backup::sqlite(store, file).await,
            Opened::Postgres(store) => backup::into_file(store, file, progress).await,
        }
    }

    /// Copies everything into another database, which must be new: all of it or nothing. The source may be in use.
    pub async fn copy_to(&self, target: &settings::Database, progress: Progress<'_>) -> Result<Copied, AdminError> {
        match (target, &self.opened) {
            (settings::Database::Sqlite(path), Opened::Sqlite(store, _)) => backup::into_file(store, path, progress).await,
            (settings::Database::Sqlite(path), Opened::Postgres(store)) => backup::into_file(store, path, progress).await,
            (settings::Database::Postgres(url), opened) => {
                let target = PgStore::connect(url).await?.patient();
                let result = match opened {
                    Opened::Sqlite(store, _) => backup::into_postgres(store, &target, progress).await,
                    Opened::Postgres(store) => backup::into_postgres(store, &target, progress).await,
                };
                target.close().await;
                result
            }
        }
    }

    pub async fn close(self) {
        match self.opened {
            Opened::Sqlite(store, _) => store.close().await,
            Opened::Postgres(store) => store.close().await,
        }
    }

    /// As it may be shown: without a password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

fn place(database: &settings::Database) -> String {
    match database {
        settings::Database::Sqlite(path) => path.display().to_string(),
        settings::Database::Postgres(_) => "the Postgres database".to_owned(),
    }
}

fn must_exist(path: &Path) -> Result<(), AdminError> {
    if path.is_file() { Ok(()) } else { Err(AdminError::Missing { place: path.display().to_string() }) }
}
