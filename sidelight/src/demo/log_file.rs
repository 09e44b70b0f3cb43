//! A log file that does not grow without bound: full, it becomes `NAME.1` and a new one begins.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Size at which a file is put aside; with the one put aside, a log takes at most twice as much.
const BYTES_MAX: u64 = 8 << 20;

#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl LogFile {
    /// Continues what is there.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        Self::with_limit(path, BYTES_MAX)
    }

    fn with_limit(path: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, bytes_max })
    }

    /// Splits between files only at the end of a line.
    ///
    /// # Errors
    /// The disk is full or the folder is gone.
    pub fn write(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        if self.bytes + chunk.len() as u64 <= self.bytes_max {
            return self.append(chunk);
        }
        let line_end = chunk.iter().position(|byte| *byte == b'\n').map_or(chunk.len(), |at| at + 1);
        let (rest_of_line, next) = chunk.split_at(line_end);
        self.append(rest_of_line)?;
        self.put_aside()?;
        if next.is_empty() { Ok(()) } else { self.append(next) }
    }

    fn append(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.file.write_all(chunk)?;
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    fn put_aside(&mut self) -> std::io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".1");
        std::fs::rename(&self.path, aside)?;
        self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

/// The last lines of a file, for an error message; empty when it cannot be read.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_at_a_lines_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut log = LogFile::with_limit(&path, 10).unwrap();
        log.write(b"12345678").unwrap();
        log.write(b"9\nabc\nd").unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("a.log.1")).unwrap(), "123456789\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "abc\nd");
        assert_eq!(tail(&path, 1), "d");
    }
}
