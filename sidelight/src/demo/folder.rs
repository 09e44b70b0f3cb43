//! The demo's data directory: where it is, that only one demo uses it, and what an earlier one left there.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use crate::serve::folder::user_folder;

const MARKER: &str = "demo.json";

/// Written once the sample's objects are saved, so that no later start saves them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The port in the saved Gateway object.
    pub gateway_port: u16,
}

/// Held as long as the demo runs.
#[derive(Debug)]
pub struct Folder {
    pub path: PathBuf,
    /// What an earlier start left; `None` in a new folder.
    pub marker: Option<Marker>,
    _lock: File,
}

impl Folder {
    /// Creates what is missing and takes the lock.
    ///
    /// # Errors
    /// The folder cannot be written, or another demo uses it.
    pub fn open(chosen: Option<PathBuf>) -> anyhow::Result<Self> {
        let path = match chosen {
            Some(path) => std::path::absolute(&path).with_context(|| format!("cannot find `{}`", path.display()))?,
            None => user_folder("demo", |name| std::env::var_os(name).map(PathBuf::from))
                .context("there is no HOME to keep the data in; name a folder with --data-dir")?,
        };
        for folder in [path.clone(), path.join("logs"), path.join("bootstrap")] {
            std::fs::create_dir_all(&folder).with_context(|| unwritable(&folder))?;
        }
        let probe = path.join(".writable");
        File::create(&probe).and_then(|mut file| file.write_all(b"?")).with_context(|| unwritable(&path))?;
        std::fs::remove_file(&probe).with_context(|| unwritable(&path))?;
        let lock = lock(&path)?;
        let marker = read_marker(&path)?;
        Ok(Self { path, marker, _lock: lock })
    }

    /// # Errors
    /// The file cannot be written.
    pub fn mark(&self, marker: &Marker) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(marker)?;
        std::fs::write(self.path.join(MARKER), text + "\n").with_context(|| unwritable(&self.path))
    }

    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    #[must_use]
    pub fn bootstrap(&self, name: &str) -> PathBuf {
        self.path.join("bootstrap").join(format!("{name}.json"))
    }
}

fn unwritable(path: &Path) -> String {
    format!("cannot write to `{}`; choose another folder with --data-dir", path.display())
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let name = path.join(".lock");
    let file = File::create(&name).with_context(|| unwritable(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(anyhow!("another demo uses `{}`; end it, or choose another folder with --data-dir", path.display()))
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| unwritable(path)),
    }
}

fn read_marker(path: &Path) -> anyhow::Result<Option<Marker>> {
    let name = path.join(MARKER);
    match std::fs::read_to_string(&name) {
        Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| format!("cannot read `{}`", name.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", name.display())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_second_demo_is_refused_and_a_later_one_finds_the_marker() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let folder = Folder::open(Some(path.clone())).unwrap();
        assert_eq!(folder.marker, None);
        let error = Folder::open(Some(path.clone())).unwrap_err().to_string();
        assert!(error.starts_with("another demo uses `"), "{error}");
        folder.mark(&Marker { gateway_port: 8081 }).unwrap();
        drop(folder);
        assert_eq!(Folder::open(Some(path)).unwrap().marker, Some(Marker { gateway_port: 8081 }));
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Folder::open(Some(file.path().join("x"))).unwrap_err().to_string();
        assert!(error.starts_with("cannot write to `"), "{error}");
    }
}
