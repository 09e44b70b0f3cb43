//! A collector as a process of its own, on addresses and a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sidelight_api::ingest::{Door, IngestReport};

use super::client::Http;
use crate::process::Running;

/// Starting may take this long.
const READY: Duration = Duration::from_secs(20);
/// Ending, with everything written, may take this long.
const END: Duration = Duration::from_secs(60);
/// Merging blocks may take this long.
const SETTLED: Duration = Duration::from_secs(60);

pub const DASHBOARD: &str = "127.61.0.1:20001";
pub const ZIPKIN: &str = "127.61.0.1:9411";
pub const GRPC: &str = "127.61.0.1:4317";
pub const OTLP_HTTP: &str = "127.61.0.1:4318";
const PORTS: [(&str, &str); 5] = [
    ("--listen", DASHBOARD),
    ("--zipkin", ZIPKIN),
    ("--xds", "127.61.0.1:15010"),
    ("--otlp-grpc", GRPC),
    ("--otlp-http", OTLP_HTTP),
];

pub struct Server {
    running: Running,
    data: PathBuf,
    http: Http,
}

/// What a door counted, all of its doors' names added up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub received: u64,
    pub stored: u64,
    pub refused: u64,
}

impl Server {
    pub async fn start(binary: &Path, data: PathBuf, flags: &[String]) -> Result<Self> {
        std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let mut command = Command::new(binary);
        command.args(["--log-level", "error", "collector", "--auth", "none", "--data"]).arg(&data);
        for (flag, address) in PORTS {
            command.args([flag, address]);
        }
        command.args(flags);
        let shown = format!("{command:?}");
        let mut running = Running::start("collector", &mut command)?;
        let http = Http::new();
        let started = Instant::now();
        loop {
            ensure!(!running.has_ended(), "the collector ended at once; by hand it says why: {shown}");
            if http.get(DASHBOARD, "/readyz").await.is_ok_and(|(status, _)| status == 200) {
                return Ok(Self { running, data, http });
            }
            ensure!(started.elapsed() < READY, "the collector is not ready after {READY:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn running(&self) -> &Running {
        &self.running
    }

    pub async fn get(&self, path: &str) -> Result<String> {
        let (status, body) = self.http.get(DASHBOARD, path).await?;
        ensure!(status == 200, "{path} is answered with {status}: {body}");
        Ok(body)
    }

    pub async fn counted(&self, signal: &str) -> Result<Counted> {
        let report: IngestReport = serde_json::from_str(&self.get("/api/ingest").await?).context("/api/ingest")?;
        let of_signal = report.doors.iter().filter(|door| door.signal == signal);
        Ok(of_signal.fold(Counted::default(), |sum, door: &Door| Counted {
            received: sum.received + door.received,
            stored: sum.stored + door.stored,
            refused: sum.refused + door.refused.values().sum::<u64>(),
        }))
    }

    /// Waits until nothing is written any more.
    pub async fn rest(&self) -> Result<()> {
        let started = Instant::now();
        let (mut last, mut same) = (Duration::ZERO, 0);
        // Idle: less than two percent of a processor, three times in a row.
        while same < 3 && started.elapsed() < SETTLED {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let cpu = self.running.cpu()?;
            same = if cpu - last <= Duration::from_millis(10) { same + 1 } else { 0 };
            last = cpu;
        }
        Ok(())
    }

    /// Waits until nothing is written any more, then ends it; bytes that the database uses.
    pub async fn settle(self, binary: &Path) -> Result<u64> {
        self.rest().await?;
        let data = self.data.clone();
        self.running.stop(END)?;
        compact(binary, &data)?;
        database_bytes(&data.join("sidelight.db"))
    }
}

/// `sidelight db compact`: what the running collector would do by and by.
fn compact(binary: &Path, data: &Path) -> Result<()> {
    let database = format!("sqlite:{}", data.join("sidelight.db").display());
    let output = Command::new(binary).args(["db", "compact", "--database", &database]).output().context("cannot run `db`")?;
    ensure!(output.status.success(), "db compact: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Pages that hold something; those that are free are filled before the file grows.
fn database_bytes(path: &Path) -> Result<u64> {
    let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let number = |at: usize| file.get(at..at + 4).map(|bytes| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)));
    let page = file.get(16..18).map(|bytes| u64::from(bytes[0]) << 8 | u64::from(bytes[1]));
    let (Some(page), Some(pages), Some(free)) = (page, number(28), number(36)) else {
        bail!("{} is no SQLite database", path.display());
    };
    Ok((pages - free) * if page == 1 { 65_536 } else { page })
}
