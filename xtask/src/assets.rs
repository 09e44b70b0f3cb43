//! Writes files under names that carry their content's hash, compressed beside themselves.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Hex digits of the content's hash in a file's name.
const HASH_DIGITS: usize = 12;
const BROTLI_QUALITY: u32 = 11;
const BROTLI_WINDOW: u32 = 22;

/// The folder that the collector embeds.
pub struct Assets {
    dist: PathBuf,
    compressed: bool,
}

impl Assets {
    /// Starts with an empty folder: a file of a former build must not be embedded.
    pub fn create(dist: &Path, compressed: bool) -> Result<Self> {
        if dist.exists() {
            fs::remove_dir_all(dist).with_context(|| format!("cannot empty {}", dist.display()))?;
        }
        fs::create_dir_all(dist.join("assets")).with_context(|| format!("cannot create {}", dist.display()))?;
        Ok(Self { dist: dist.to_path_buf(), compressed })
    }

    /// Writes `assets/STEM-HASH.EXTENSION` and returns its address from the server's root.
    pub fn add(&self, stem: &str, extension: &str, content: &[u8]) -> Result<String> {
        let hash = &blake3::hash(content).to_hex()[..HASH_DIGITS];
        let name = format!("assets/{stem}-{hash}.{extension}");
        self.write(&name, content, extension != "woff2")?;
        Ok(format!("/{name}"))
    }

    /// Writes the page itself, last: a folder with a page is a finished build.
    pub fn finish(&self, page: &str) -> Result<()> {
        self.write("index.html", page.as_bytes(), true)
    }

    fn write(&self, name: &str, content: &[u8], compress: bool) -> Result<()> {
        let path = self.dist.join(name);
        let put =
            |path: &Path, content: &[u8]| fs::write(path, content).with_context(|| format!("cannot write {}", path.display()));
        if compress && self.compressed {
            put(&with_suffix(&path, ".br"), &brotli(content)?)?;
            put(&with_suffix(&path, ".gz"), &gzip(content)?)?;
        }
        put(&path, content)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn brotli(content: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut compressed, 4096, BROTLI_QUALITY, BROTLI_WINDOW);
    writer.write_all(content).context("brotli")?;
    drop(writer);
    Ok(compressed)
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(content).context("gzip")?;
    writer.finish().context("gzip")
}
