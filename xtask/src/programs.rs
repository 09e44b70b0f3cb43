//! Sees to it that a program is there: installs its Debian package where that is allowed, otherwise names it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::steps::execute;

/// Finds `program` on the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// Installs `package` when `present` says that what it brings is missing.
///
/// Root on Debian installs it; anybody else is told what to install and why.
pub fn require(package: &str, purpose: &str, present: impl Fn() -> bool) -> Result<()> {
    if present() {
        return Ok(());
    }
    if may_install() {
        install(package)?;
        if present() {
            return Ok(());
        }
        bail!("Debian's package `{package}` was installed but did not bring what {purpose} needs");
    }
    bail!("{purpose} needs Debian's package `{package}` (or its like): install it with `sudo apt-get install {package}`");
}

fn may_install() -> bool {
    find("apt-get").is_some() && is_root()
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn install(package: &str) -> Result<()> {
    println!("    installing Debian's package {package}");
    if !Path::new("/var/lib/apt/lists").read_dir().is_ok_and(|mut lists| lists.any(|e| e.is_ok_and(|e| e.path().is_file()))) {
        execute(apt().arg("update"))?;
    }
    // A stale list names versions that are gone: fetch it anew once before giving up.
    execute(apt().args(["install", "-y", package])).or_else(|_| {
        execute(apt().arg("update"))?;
        execute(apt().args(["install", "-y", package]))
    })
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    command
}
