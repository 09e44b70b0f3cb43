//! The table, the ratios, what was missed and by how much; and all of it as JSON.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

#[derive(Default, Serialize)]
pub struct Report {
    pub doors: Vec<DoorRow>,
    pub paced: Option<PacedRow>,
    pub overloaded: Option<OverRow>,
    pub scraping: Vec<ScrapeRow>,
}

#[derive(Default, Serialize)]
pub struct DoorRow {
    pub name: String,
    /// Why there are no numbers; empty where there are.
    pub problem: String,
    pub items: u64,
    pub per_wall_s: f64,
    pub per_cpu_s: f64,
    pub cpu_s_per_million: f64,
    pub goal_per_cpu_s: f64,
    pub ack_p50_ms: f64,
    pub ack_p99_ms: f64,
    pub peak_mib: f64,
    pub wire_bytes_per_item: f64,
    pub bytes_per_item: f64,
    pub bytes_goal: f64,
    pub sent: u64,
    pub acknowledged: u64,
    pub busy_answers: u64,
    pub received: u64,
    pub stored: u64,
    pub refused: u64,
}

#[derive(Serialize)]
pub struct PacedRow {
    pub door: String,
    pub spans_per_s: f64,
    pub cpu_percent: f64,
    pub ack_p50_ms: f64,
    pub ack_p99_ms: f64,
    pub peak_mib: f64,
}

/// More at once than a door takes.
#[derive(Serialize)]
pub struct OverRow {
    pub door: String,
    pub requests_at_once: usize,
    pub acknowledged: u64,
    /// Answers that say "try again".
    pub busy_answers: u64,
    pub peak_mib: f64,
}

#[derive(Clone, Serialize)]
pub struct ScrapeRow {
    pub name: String,
    pub series: u64,
    pub samples: u64,
    pub cpu_s_per_million: f64,
    pub resident_mib: f64,
    pub peak_mib: f64,
    pub bytes_per_sample: f64,
}

/// Goals beside those of the doors.
const PACED_MIB_MAX: f64 = 100.0;
const ACK_P99_MS_MAX: f64 = 50.0;
const BYTES_PER_SAMPLE_MAX: f64 = 1.6;
const CPU_OF_PROMETHEUS_MAX: f64 = 0.5;
const CPU_OF_VICTORIA_METRICS_MAX: f64 = 1.0;
const MEMORY_OF_PROMETHEUS_MAX: f64 = 0.4;

impl DoorRow {
    pub fn failed(name: &str, error: &anyhow::Error) -> Self {
        Self { name: name.to_owned(), problem: format!("failed: {error:#}"), ..Self::default() }
    }
}

impl Report {
    pub fn print(&self) {
        self.print_doors();
        if let Some(row) = &self.paced {
            println!(
                "\n  {:.0} spans/s over {}: {:.0} % of a core, acknowledged after {:.1} ms (p99 {:.1} ms), {:.0} MiB at most",
                row.spans_per_s, row.door, row.cpu_percent, row.ack_p50_ms, row.ack_p99_ms, row.peak_mib
            );
        }
        if let Some(row) = &self.overloaded {
            println!(
                "\n  {} requests at once over {}: {} spans stored, all of them; {} times busy, {:.0} MiB at most",
                row.requests_at_once, row.door, row.acknowledged, row.busy_answers, row.peak_mib
            );
        }
        self.print_scraping();
        let missed = self.missed();
        println!("\n  goals: {}", if missed.is_empty() { "all reached" } else { "missed" });
        for line in missed {
            println!("    {line}");
        }
    }

    fn print_doors(&self) {
        let heads = ["items/CPU s", "items/s", "CPU s/M", "p50 ms", "p99 ms", "MiB", "B wire", "B stored"];
        let heads: Vec<String> = heads.iter().map(|head| format!("{head:>11}")).collect();
        println!("\n  {:<24}{}  sent = stored + refused", "door", heads.concat());
        for row in &self.doors {
            if !row.problem.is_empty() {
                println!("  {:<24} {}", row.name, row.problem);
                continue;
            }
            println!(
                "  {:<24}{:>11.0}{:>11.0}{:>11.2}{:>11.1}{:>11.1}{:>11.0}{:>11.0}{:>11.1}  {} = {} + {} ({} busy)",
                row.name,
                row.per_cpu_s,
                row.per_wall_s,
                row.cpu_s_per_million,
                row.ack_p50_ms,
                row.ack_p99_ms,
                row.peak_mib,
                row.wire_bytes_per_item,
                row.bytes_per_item,
                row.sent,
                row.stored,
                row.refused,
                row.busy_answers,
            );
        }
    }

    fn print_scraping(&self) {
        let Some(ours) = self.scraping.first() else { return };
        println!(
            "\n  {:<24} {:>8} {:>9} {:>12} {:>7} {:>9} {:>7} {:>9} {:>10}",
            "scraping", "series", "samples", "CPU s/M", "ratio", "MiB", "ratio", "peak MiB", "B/sample"
        );
        for row in &self.scraping {
            println!(
                "  {:<24} {:>8} {:>9} {:>12.2} {:>7.2} {:>9.0} {:>7.2} {:>9.0} {:>10.2}",
                row.name,
                row.series,
                row.samples,
                row.cpu_s_per_million,
                ours.cpu_s_per_million / row.cpu_s_per_million,
                row.resident_mib,
                ours.resident_mib / row.resident_mib,
                row.peak_mib,
                row.bytes_per_sample
            );
        }
    }

    fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if self.overloaded.as_ref().is_some_and(|row| row.busy_answers == 0) {
            missed.push("overloaded: nobody was told to try again".to_owned());
        }
        let mut most = |what: String, value: f64, limit: f64| {
            if value > limit {
                missed.push(format!("{what}: {value:.2}, at most {limit} ({:.2} times)", value / limit));
            }
        };
        for row in self.doors.iter().filter(|row| row.problem.is_empty()) {
            if row.goal_per_cpu_s > 0.0 {
                // As a cost, so that "at most" holds for all goals.
                most(format!("{}: CPU s per million", row.name), row.cpu_s_per_million, 1e6 / row.goal_per_cpu_s);
            }
            if row.bytes_goal > 0.0 {
                most(format!("{}: bytes an item", row.name), row.bytes_per_item, row.bytes_goal);
            }
        }
        if let Some(row) = &self.paced {
            most("paced: MiB".to_owned(), row.peak_mib, PACED_MIB_MAX);
            most("paced: acknowledged, p99 ms".to_owned(), row.ack_p99_ms, ACK_P99_MS_MAX);
        }
        if let Some(ours) = self.scraping.first() {
            most("scraping: bytes a sample".to_owned(), ours.bytes_per_sample, BYTES_PER_SAMPLE_MAX);
            for peer in &self.scraping[1..] {
                let is_prometheus = peer.name.starts_with("prometheus");
                let limit = if is_prometheus { CPU_OF_PROMETHEUS_MAX } else { CPU_OF_VICTORIA_METRICS_MAX };
                most(format!("scraping: CPU of {}'s", peer.name), ours.cpu_s_per_million / peer.cpu_s_per_million, limit);
                if is_prometheus {
                    let share = ours.resident_mib / peer.resident_mib;
                    most(format!("scraping: memory of {}'s", peer.name), share, MEMORY_OF_PROMETHEUS_MAX);
                }
            }
        }
        missed
    }

    /// Beside the binary.
    pub fn save(&self) -> Result<()> {
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let path: PathBuf = own.with_file_name("bench-collector.json");
        let json = serde_json::to_vec_pretty(self).context("the report is no JSON")?;
        std::fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))?;
        println!("\n  {}", path.display());
        Ok(())
    }
}
