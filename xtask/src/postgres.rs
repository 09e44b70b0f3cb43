//! Knows where Debian puts the PostgreSQL server, which is not on the search path.

use std::fs;
use std::path::PathBuf;

/// Folder with `initdb` and `postgres` of the newest installed version.
pub fn server_programs() -> Option<PathBuf> {
    let mut versions: Vec<_> =
        fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    versions.sort();
    versions.into_iter().rev().find(|folder| folder.join("postgres").is_file())
}
