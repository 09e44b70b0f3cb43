//! Finds a compiler for the browser: the toolchain's own target, one that rustup adds, or Debian's.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::programs;
use crate::workspace;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler for the browser and what it needs to build the standard library.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm"];

/// How the dashboard gets compiled.
#[derive(Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The toolchain in use has the target.
    Own,
    /// Debian's `rustc-web`, which builds the standard library from source.
    Debian,
}

impl Toolchain {
    /// A cargo command that compiles for [`TARGET`], and the folder its artifacts end up in.
    pub fn cargo(&self) -> (Command, std::path::PathBuf) {
        match self {
            Self::Own => (workspace::cargo(), workspace::target()),
            Self::Debian => (debian_cargo(), workspace::target().join("wasm")),
        }
    }
}

/// Looks in this order: the toolchain has the target, rustup can add it, Debian's packages.
pub fn find() -> Result<Toolchain> {
    if std::env::var_os("SIDELIGHT_DEBIAN_WASM").is_none() {
        if toolchain_has_target() {
            return Ok(Toolchain::Own);
        }
        if rustup_adds_target() && toolchain_has_target() {
            return Ok(Toolchain::Own);
        }
    }
    for package in DEBIAN_PACKAGES {
        if programs::require(package, "compiling the dashboard", || debian_package_installed(package)).is_err() {
            bail!(
                "no compiler for {TARGET}: run `rustup target add {TARGET}`, or install Debian's packages {}",
                DEBIAN_PACKAGES.join(" ")
            );
        }
    }
    require_linker()?;
    Ok(Toolchain::Debian)
}

/// Debian's `rust-lld` is a link to a linker that its own package does not bring: the link's target names the package.
fn require_linker() -> Result<()> {
    let Ok(linker) = std::fs::read_link("/usr/bin/rust-lld") else { return Ok(()) };
    let package = linker.to_string_lossy().into_owned();
    programs::require(&package, "linking the dashboard", || Path::new("/usr/bin/rust-lld").exists())
}

fn toolchain_has_target() -> bool {
    let output = Command::new("rustc")
        .current_dir(workspace::root())
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

fn rustup_adds_target() -> bool {
    println!("    adding {TARGET} to the toolchain");
    let status = Command::new("rustup").current_dir(workspace::root()).args(["target", "add", TARGET]).status();
    status.is_ok_and(|status| status.success())
}

fn debian_package_installed(package: &str) -> bool {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]).stderr(Stdio::null()).output();
    output.is_ok_and(|output| output.stdout.ends_with(b" installed"))
}

fn debian_cargo() -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .current_dir(workspace::root())
        .env("PATH", format!("/usr/bin:{path}"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
        // A target folder of its own, so that the two compilers never invalidate each other's work.
        .env("CARGO_TARGET_DIR", workspace::target().join("wasm"));
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC"] {
        command.env_remove(name);
    }
    command
}
