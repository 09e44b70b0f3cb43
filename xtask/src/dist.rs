//! Packs the release: one binary with the dashboard inside, beside licence, README and changelog.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::{announce, execute};
use crate::ui;
use crate::workspace;

const BESIDE: [&str; 3] = ["LICENSE", "README.md", "CHANGELOG.md"];

pub fn run() -> Result<()> {
    ui::run()?;
    announce("sidelight: compile", || {
        // Packaged without the dashboard, the collector would serve only a hint on how to build it: refuse that.
        execute(workspace::cargo().env("SIDELIGHT_REQUIRE_UI", "1").args([
            "build",
            "--locked",
            "--release",
            "--package",
            "sidelight",
        ]))
    })?;
    announce("pack", pack)
}

fn pack() -> Result<()> {
    let name = format!("sidelight-{}-{ARCH}-{OS}", env!("CARGO_PKG_VERSION"));
    let dist = workspace::target().join("dist");
    let folder = dist.join(&name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let binary = workspace::sidelight("release");
    let program = folder.join(binary.file_name().context("the binary has no name")?);
    fs::copy(&binary, &program).with_context(|| format!("cannot copy {}", binary.display()))?;
    for file in BESIDE {
        fs::copy(workspace::root().join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let archive = dist.join(format!("{name}.tar.gz"));
    execute(Command::new("tar").arg("-C").arg(&dist).arg("-czf").arg(&archive).arg(&name))?;
    println!("    {}", archive.display());
    Ok(())
}
