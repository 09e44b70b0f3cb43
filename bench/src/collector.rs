//! What does it cost the collector to take telemetry in, door by door, and what do peers pay for the same?
//!
//! The collector is the optimised binary in a process of its own; this process makes the load. What is compared is the
//! processor time of the collector's process, so that neither the load's cost nor a busy machine counts.

mod access_logs;
pub mod client;
pub mod doors;
mod exposition;
mod mesh;
mod peers;
mod random;
mod raw_codec;
mod report;
mod scraping;
pub mod server;
mod spans;
mod template;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use report::{DoorRow, Report};

pub fn run() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("sidelight-bench-collector-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.context("cannot start the load's runtime")?.block_on(all(&folder));
    // Best effort: a folder left behind in the temporary one harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

/// Only the parts whose name contains one of the words of this variable, separated by commas.
const ONLY: &str = "SIDELIGHT_BENCH_ONLY";

fn is_wanted(part: &str) -> bool {
    std::env::var(ONLY).map_or(true, |words| words.split(',').any(|word| part.contains(word)))
}

async fn all(folder: &std::path::Path) -> Result<()> {
    let binary = binary()?;
    let mut report = Report::default();
    for door in doors::DOORS {
        if is_wanted(door.name) {
            // A door that fails is told as such; the others are still worth measuring.
            let row = doors::measure(&binary, folder, door).await;
            report.doors.push(row.unwrap_or_else(|error| DoorRow::failed(door.name, &error)));
        }
    }
    if is_wanted("paced") {
        report.paced = Some(doors::paced(&binary, folder).await.context("the paced load")?);
    }
    if is_wanted("overloaded") {
        report.overloaded = Some(doors::overloaded(&binary, folder).await.context("the overload")?);
    }
    if is_wanted("scraping") {
        report.scraping = scraping::compare(&binary, folder).await.context("scraping")?;
    }
    report.print();
    report.save()
}

/// The optimised binary beside this one.
pub fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let path = own.with_file_name("sidelight");
    if !path.is_file() {
        bail!("{} is missing: run the benchmarks with `cargo xtask bench`", path.display());
    }
    Ok(path)
}
