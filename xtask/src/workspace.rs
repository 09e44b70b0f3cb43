//! Knows where things lie in this checkout, and starts cargo in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that holds the root Cargo.toml.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies one level below the workspace's root").to_path_buf()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The cargo that started this chore, run in the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // Set by the outer `cargo run` for xtask itself; inherited, they would make cargo rebuild what is already built.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// The built `sidelight` of one profile (`debug`, `release`).
pub fn sidelight(profile: &str) -> PathBuf {
    target().join(profile).join(format!("sidelight{}", env::consts::EXE_SUFFIX))
}
