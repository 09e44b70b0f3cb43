//! Debian's Prometheus and VictoriaMetrics on the same targets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::client::Http;
use super::scraping::INTERVAL_S;

const READY: Duration = Duration::from_secs(20);

pub struct Peer {
    pub name: &'static str,
    kind: Kind,
    program: PathBuf,
    address: &'static str,
    configuration: PathBuf,
    data: PathBuf,
    http: Http,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// Both; `cargo xtask bench` installs them.
pub fn installed(folder: &Path, targets: &[SocketAddr]) -> Result<Vec<Peer>> {
    let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
    let configuration = folder.join("scrape.yaml");
    let text = format!(
        "global: {{scrape_interval: {INTERVAL_S}s, scrape_timeout: {INTERVAL_S}s}}\n\
         scrape_configs:\n- job_name: shop\n  metrics_path: /stats/prometheus\n  static_configs:\n  - targets: [{}]\n",
        targets.join(", ")
    );
    std::fs::write(&configuration, text).context("cannot write a scrape configuration")?;
    let peer = |name, kind, program: &str, address| {
        let program =
            find(program).with_context(|| format!("{program} is missing: run the benchmarks with `cargo xtask bench`"))?;
        let data = folder.join(name);
        anyhow::Ok(Peer { name, kind, program, address, configuration: configuration.clone(), data, http: Http::new() })
    };
    Ok(vec![
        peer("prometheus", Kind::Prometheus, "prometheus", "127.61.0.2:9090")?,
        peer("victoria-metrics", Kind::VictoriaMetrics, "victoria-metrics", "127.61.0.3:8428")?,
    ])
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

impl Peer {
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        let (configuration, data) = (self.configuration.display(), self.data.display());
        match self.kind {
            Kind::Prometheus => command.args([
                format!("--config.file={configuration}"),
                format!("--storage.tsdb.path={data}"),
                format!("--web.listen-address={}", self.address),
                "--web.enable-admin-api".to_owned(),
            ]),
            Kind::VictoriaMetrics => command.args([
                format!("-promscrape.config={configuration}"),
                format!("-storageDataPath={data}"),
                format!("-httpListenAddr={}", self.address),
            ]),
        };
        command
    }

    /// Being ready is not enough: Prometheus looks for its targets only five seconds later.
    pub async fn until_scraping(&self) -> Result<()> {
        let started = Instant::now();
        while !self.samples().await.is_ok_and(|samples| samples > 0) {
            ensure!(started.elapsed() < READY, "{} has scraped nothing after {READY:?}", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Taken so far.
    pub async fn samples(&self) -> Result<u64> {
        let name = match self.kind {
            Kind::Prometheus => "prometheus_tsdb_head_samples_appended_total",
            Kind::VictoriaMetrics => "vm_rows_inserted_total{type=\"promscrape\"}",
        };
        Ok(self.own_metric(name).await? as u64)
    }

    /// Compacted, with the index: blocks of a snapshot, or all parts after a flush.
    pub async fn bytes_stored(&self) -> Result<f64> {
        match self.kind {
            Kind::Prometheus => {
                let (status, body) =
                    self.http.post(self.address, "/api/v1/admin/tsdb/snapshot", "text/plain", bytes::Bytes::new()).await?;
                ensure!(status == 200, "Prometheus takes no snapshot: {body}");
                bytes_below(&self.data.join("snapshots"))
            }
            Kind::VictoriaMetrics => {
                self.http.get(self.address, "/internal/force_flush").await?;
                self.http.get(self.address, "/internal/force_merge").await?;
                tokio::time::sleep(Duration::from_secs(2)).await;
                bytes_below(&self.data)
            }
        }
    }

    async fn own_metric(&self, name: &str) -> Result<f64> {
        let (_, text) = self.http.get(self.address, "/metrics").await?;
        let values = text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with([' ', '{']));
        let values: Vec<f64> = values.filter_map(|rest| rest.rsplit(' ').next()?.parse().ok()).collect();
        ensure!(!values.is_empty(), "{} tells no {name}", self.name);
        Ok(values.iter().sum())
    }
}

fn bytes_below(folder: &Path) -> Result<f64> {
    let mut bytes = 0.0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let data = entry.metadata()?;
        bytes += if data.is_dir() { bytes_below(&entry.path())? } else { data.len() as f64 };
    }
    Ok(bytes)
}
