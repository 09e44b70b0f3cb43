//! Which schema a database has, said in words when it is another one than this program's.

use sqlx::migrate::{MigrateError, Migrator};

use super::StoreError;
use super::outage::is_outage;

/// Versions that were brought in.
pub(super) const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";

/// Why a migration did not come through; the database is as it was before that one.
pub(super) fn failed(place: String, source: MigrateError) -> StoreError {
    match source {
        MigrateError::VersionMissing(version) => StoreError::Newer { place, version },
        source => StoreError::Migrate { place, source },
    }
}

/// Refuses a database that a newer program made, or that this one has not brought up yet.
pub(super) fn must_be_current(
    place: String,
    migrator: &Migrator,
    applied: Result<Vec<i64>, sqlx::Error>,
) -> Result<(), StoreError> {
    let applied = match applied {
        Ok(applied) => applied,
        // No such table: of another program, or empty.
        Err(error @ sqlx::Error::Database(_)) if !is_outage(&error) => return Err(StoreError::Foreign { place }),
        Err(source) => return Err(StoreError::Open { place, source }),
    };
    if let Some(version) = applied.iter().find(|version| !migrator.version_exists(**version)) {
        return Err(StoreError::Newer { place, version: *version });
    }
    match migrator.iter().find(|migration| !applied.contains(&migration.version)) {
        Some(migration) => Err(StoreError::Older { place, version: migration.version }),
        None => Ok(()),
    }
}
