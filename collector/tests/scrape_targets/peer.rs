//! A real Prometheus with a configuration of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::running::get;

pub struct Prometheus {
    child: Child,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A target as both sides tell it: its URL and its labels.
pub type Seen = BTreeMap<String, Vec<(String, Value)>>;

impl Prometheus {
    /// Debian's package `prometheus`.
    pub async fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("install Debian's package `prometheus`");
        let mut peer = Self { child, address, _folder: folder };
        for _ in 0..400 {
            assert_eq!(peer.child.try_wait().unwrap(), None, "Prometheus refuses the configuration");
            if tokio::net::TcpStream::connect(address).await.is_ok() && get(address, "/-/ready").await.0.is_success() {
                return peer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Prometheus does not become ready");
    }

    /// Its targets by job, once it has found as many as it should, dropped ones included.
    pub async fn targets(&self, count: usize) -> Seen {
        for _ in 0..600 {
            let (seen, dropped) = self.seen().await;
            if seen.values().map(Vec::len).sum::<usize>() + dropped == count {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Prometheus never finds {count} targets");
    }

    /// Its targets by job, once they are as they should be.
    pub async fn eventually(&self, is_good: impl Fn(&Seen) -> bool) -> Seen {
        for _ in 0..600 {
            let (seen, _) = self.seen().await;
            if is_good(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Prometheus never finds the targets: {:?}", self.seen().await.0);
    }

    /// Active targets, and how many are dropped.
    async fn seen(&self) -> (Seen, usize) {
        let (_, text) = get(self.address, "/api/v1/targets").await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let mut seen = Seen::new();
        for target in answer["data"]["activeTargets"].as_array().unwrap() {
            let url = target["scrapeUrl"].as_str().unwrap().to_owned();
            let pool = target["scrapePool"].as_str().unwrap().to_owned();
            seen.entry(pool).or_default().push((url, target["labels"].clone()));
        }
        seen.values_mut().for_each(|targets| targets.sort_by(|a, b| a.0.cmp(&b.0)));
        (seen, answer["data"]["droppedTargets"].as_array().unwrap().len())
    }
}

/// Whether promtool takes a configuration.
pub fn promtool_accepts(folder: &Path, config: &str) -> bool {
    let path = folder.join("checked.yml");
    std::fs::write(&path, config).unwrap();
    let output = Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(&path).output();
    output.expect("install Debian's package `prometheus`").status.success()
}
