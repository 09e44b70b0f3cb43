//! The same proxies scraped by the collector, by Prometheus and by VictoriaMetrics, one after the other.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::exposition::{SERIES_PER_EDGE, Target, serve};
use super::peers::{self, Peer};
use super::report::ScrapeRow;
use super::server::Server;
use crate::process::Running;

/// About this many series in all.
const SERIES: u64 = 32_000;
const TARGETS: u64 = 16;
pub const INTERVAL_S: u64 = 1;
/// First sight of every series is dearer than the rest, and rarer: it is left out.
const WARM_UP: Duration = Duration::from_secs(4);
const MEASURED: Duration = Duration::from_secs(30);

pub async fn compare(binary: &Path, folder: &Path) -> Result<Vec<ScrapeRow>> {
    let targets: Vec<_> = (0..TARGETS).map(|number| Target::new(number, SERIES / TARGETS / SERIES_PER_EDGE)).collect();
    let series = targets.iter().map(Target::series).sum();
    let addresses = serve(targets).await?;
    let mut rows = vec![ours(binary, folder, &addresses, series).await?];
    for peer in peers::installed(folder, &addresses)? {
        rows.push(theirs(peer, series).await?);
    }
    Ok(rows)
}

/// Processor time and samples between two moments.
struct Measured {
    cpu: Duration,
    samples: u64,
    resident_mib: f64,
    peak_mib: f64,
}

impl Measured {
    fn row(&self, name: &str, series: u64, bytes_per_sample: f64) -> Result<ScrapeRow> {
        ensure!(self.samples > 0, "{name} has taken no sample");
        Ok(ScrapeRow {
            name: name.to_owned(),
            series,
            samples: self.samples,
            cpu_s_per_million: self.cpu.as_secs_f64() * 1e6 / self.samples as f64,
            resident_mib: self.resident_mib,
            peak_mib: self.peak_mib,
            bytes_per_sample,
        })
    }
}

async fn ours(binary: &Path, folder: &Path, addresses: &[SocketAddr], series: u64) -> Result<ScrapeRow> {
    println!("  sidelight scrapes …");
    let file = folder.join("targets.json");
    let targets: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    std::fs::write(&file, json!([{"targets": targets, "labels": {"namespace": "shop"}}]).to_string())?;
    let flags = ["--scrape-file".to_owned(), file.display().to_string(), format!("--scrape-interval={INTERVAL_S}s")];
    let server = Server::start(binary, folder.join("scraping"), &flags).await?;
    tokio::time::sleep(WARM_UP).await;
    let (cpu, before) = (server.running().cpu()?, server.counted("samples").await?.stored);
    tokio::time::sleep(MEASURED).await;
    let stored = server.counted("samples").await?.stored;
    let measured = Measured {
        cpu: server.running().cpu()? - cpu,
        samples: stored - before,
        resident_mib: server.running().resident_mib()?,
        peak_mib: server.running().peak_mib()?,
    };
    // The last scrapes come with its end.
    let database = server.settle(binary).await?;
    measured.row("sidelight", series, database as f64 / stored as f64)
}

async fn theirs(peer: Peer, series: u64) -> Result<ScrapeRow> {
    println!("  {} scrapes …", peer.name);
    let running = Running::start(peer.name, &mut peer.command())?;
    peer.until_scraping().await?;
    tokio::time::sleep(WARM_UP).await;
    let (cpu, before) = (running.cpu()?, peer.samples().await?);
    tokio::time::sleep(MEASURED).await;
    let stored = peer.samples().await?;
    let measured = Measured {
        cpu: running.cpu()? - cpu,
        samples: stored - before,
        resident_mib: running.resident_mib()?,
        peak_mib: running.peak_mib()?,
    };
    let bytes = peer.bytes_stored().await?;
    measured.row(peer.name, series, bytes / stored as f64)
}
