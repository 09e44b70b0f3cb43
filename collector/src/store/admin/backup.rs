//! Writes a database into a new file or an empty database: what fails leaves nothing behind.

use std::path::{Path, PathBuf};

use super::copy::{Copied, Progress, copy};
use super::{Admin, AdminError};
use crate::settings;
use crate::store::database::Database;
use crate::store::{PgStore, SqliteStore, Store as _, StoreError};

/// SQLite writes one state of itself, packed.
pub(super) async fn sqlite(store: &SqliteStore, file: &Path) -> Result<Copied, AdminError> {
    let partial = Partial::new(file)?;
    let place = partial.path.display().to_string();
    sqlx::query("VACUUM INTO ?").bind(place).execute(store.readers()).await.map_err(StoreError::from)?;
    let copy = Admin::look(&settings::Database::Sqlite(partial.path.clone())).await?;
    let stats = copy.stats().await;
    copy.close().await;
    let stats = stats?;
    partial.keep(file)?;
    Ok(Copied { tables: stats.tables.len() as u64, rows: stats.tables.iter().map(|table| table.rows).sum() })
}

/// Copies row by row into a new SQLite database.
pub(super) async fn into_file<S: Database>(source: &S, file: &Path, progress: Progress<'_>) -> Result<Copied, AdminError> {
    let partial = Partial::new(file)?;
    let target = SqliteStore::open(&partial.path).await?;
    let copied = copy(source, &target, true, progress).await;
    // The last to close takes what is in the log into the file.
    target.close().await;
    let copied = copied?;
    partial.keep(file)?;
    Ok(copied)
}

/// Copies row by row in one transaction.
pub(super) async fn into_postgres<S: Database>(
    source: &S,
    target: &PgStore,
    progress: Progress<'_>,
) -> Result<Copied, AdminError> {
    if target.has_other_users().await? {
        return Err(AdminError::InUse { place: "the target".to_owned() });
    }
    copy(source, target, false, progress).await
}

/// A file under another name until it is whole.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn new(file: &Path) -> Result<Self, AdminError> {
        if file.exists() {
            return Err(AdminError::Exists { place: file.display().to_string() });
        }
        let mut name = file.as_os_str().to_owned();
        name.push(".partial");
        let partial = Self { path: name.into() };
        // Of a try that was killed.
        partial.remove();
        Ok(partial)
    }

    fn keep(self, file: &Path) -> Result<(), AdminError> {
        let failed = |doing| move |source| AdminError::File { doing, path: file.to_owned(), source };
        std::fs::File::open(&self.path).and_then(|file| file.sync_all()).map_err(failed("write"))?;
        // A link, not a rename: what came to be under that name meanwhile is not overwritten.
        std::fs::hard_link(&self.path, file).map_err(failed("write"))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write"))
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            // It may not be there.
            let _ = std::fs::remove_file(name);
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}
