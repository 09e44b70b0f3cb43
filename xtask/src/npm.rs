//! Installs the npm packages of a folder exactly as its lock file names them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::programs;
use crate::steps::execute;

/// Runs `npm ci` in `folder` unless the installed packages already are those of the lock file.
pub fn install(folder: &Path) -> Result<()> {
    programs::require("npm", "bundling the dashboard's editor and running the browser tests", || {
        programs::find("npm").is_some()
    })?;
    let lock = fs::read(folder.join("package-lock.json"))
        .with_context(|| format!("cannot read {}", folder.join("package-lock.json").display()))?;
    let stamp = folder.join("node_modules/.sidelight-lock");
    let wanted = blake3::hash(&lock).to_hex().to_string();
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    execute(Command::new("npm").current_dir(folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    fs::write(stamp, wanted).context("cannot note which packages are installed")
}
