//! A real Prometheus with a configuration and a folder of its own.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::running::get;

pub struct Prometheus {
    process: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    pub async fn start(config: &str) -> Self {
        Self::start_at(config, free_address()).await
    }

    pub async fn start_at(config: &str, address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=error"])
            .arg("--enable-feature=promql-negative-offset,promql-at-modifier,exemplar-storage")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("install Debian's package `prometheus`");
        let mut prometheus = Self { process, address, _folder: folder };
        for _ in 0..600 {
            assert_eq!(prometheus.process.try_wait().unwrap(), None, "Prometheus refuses the configuration");
            if std::net::TcpStream::connect(address).is_ok() && get(address, "/-/ready").await.0.is_success() {
                return prometheus;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Prometheus does not become ready");
    }

    /// Labels and value of each series of an instant query, which is encoded already.
    pub async fn query(&self, expression: &str) -> Vec<(Value, String)> {
        let (_, text) = get(self.address, &format!("/api/v1/query?query={expression}")).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let result = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        result.iter().map(|one| (one["metric"].clone(), one["value"][1].as_str().unwrap().to_owned())).collect()
    }
}

/// Taken and given back: Prometheus has to be told its port.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
