//! Reads the `scrape_configs` of a `prometheus.yml`: everything that is wrong is told at once, with its line.

mod finders;
mod http;
mod kubeconfig;
pub(crate) mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use finders::{Finder, is_url};
use yaml::{Mistakes, Node, Table};

use super::relabel::{RelabelConfig, RelabelRule, RelabelRules};
use super::target::{SCRAPE_BYTES_MAX, ScrapeJob, ScrapeLimits, TargetDefaults};
use crate::settings::{SCRAPE_INTERVAL_MAX, SCRAPE_INTERVAL_MIN};

/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Jobs of one file.
const JOBS_MAX: usize = 1_000;
/// Sections of a `prometheus.yml` that are not about scraping, and left to Prometheus.
const OTHER_SECTIONS: [&str; 8] =
    ["alerting", "rule_files", "scrape_config_files", "remote_write", "remote_read", "storage", "tracing", "runtime"];

/// A job with everything that its targets need.
#[derive(Clone, Debug)]
pub struct Job {
    pub defaults: TargetDefaults,
    pub finders: Vec<Finder>,
    /// With more targets than this, none of the job is scraped.
    pub target_limit: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum ScrapeConfigError {
    #[error("failed to read the scrape configuration {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("the scrape configuration {} is larger than {FILE_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Each with its file and line.
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
}

/// Reads a file; the files that it names are looked for beside it.
pub fn read(path: &Path) -> Result<Vec<Job>, ScrapeConfigError> {
    let failed = |error| ScrapeConfigError::Read(path.to_owned(), error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(ScrapeConfigError::TooLarge(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parse(&text, folder).map_err(|mistakes| {
        let shown = mistakes.into_iter().map(|(line, text)| format!("{}:{line}: {text}", path.display()));
        ScrapeConfigError::Mistakes(shown.collect())
    })
}

/// Reads a text; what is wrong by line.
pub fn parse(text: &str, folder: &Path) -> Result<Vec<Job>, Vec<(u64, String)>> {
    let root = yaml::parse(text).map_err(|mistake| vec![mistake])?;
    let mut mistakes = Mistakes::default();
    let jobs = document(&root, folder, &mut mistakes);
    if mistakes.0.is_empty() {
        return Ok(jobs);
    }
    mistakes.0.sort();
    Err(mistakes.0)
}

fn document(root: &Node, folder: &Path, mistakes: &mut Mistakes) -> Vec<Job> {
    let mut table = root.table("a prometheus.yml", mistakes);
    let global = table.take("global").map_or_else(Global::default, |entry| Global::read(&entry.value, mistakes));
    let mut jobs: Vec<Job> = Vec::new();
    if let Some(entry) = table.take("scrape_configs") {
        for node in entry.value.list("scrape_configs", mistakes) {
            let Some(job) = job(node, global, folder, mistakes) else { continue };
            if jobs.iter().any(|known| known.defaults.job.name == job.defaults.job.name) {
                mistakes.add(node.line, format!("there are two jobs with the name `{}`", job.defaults.job.name));
            }
            if jobs.len() >= JOBS_MAX {
                mistakes.add(node.line, format!("there are more than {JOBS_MAX} jobs"));
                break;
            }
            jobs.push(job);
        }
    }
    for section in OTHER_SECTIONS {
        if let Some(entry) = table.take(section) {
            tracing::info!(section, line = entry.line, "not read: only `global` and `scrape_configs` are");
        }
    }
    table.finish(mistakes);
    jobs
}

#[derive(Clone, Copy)]
struct Global {
    interval: Duration,
    timeout: Duration,
}

impl Default for Global {
    fn default() -> Self {
        Self { interval: Duration::from_secs(60), timeout: Duration::from_secs(10) }
    }
}

impl Global {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Self {
        let mut table = node.table("global", mistakes);
        let line = table.line;
        let interval = table.duration("scrape_interval", mistakes).unwrap_or(Self::default().interval);
        let timeout = table.duration("scrape_timeout", mistakes);
        if timeout.is_some_and(|timeout| timeout > interval) {
            mistakes.add(line, "the global scrape timeout is longer than the scrape interval");
        }
        // Of Prometheus' rules, its own log and what it tells others.
        for other in ["evaluation_interval", "query_log_file", "external_labels"] {
            let _ = table.take(other);
        }
        table.finish(mistakes);
        Self { interval, timeout: timeout.unwrap_or(Self::default().timeout.min(interval)) }
    }
}

fn job(node: &Node, global: Global, folder: &Path, mistakes: &mut Mistakes) -> Option<Job> {
    let mut table = node.table("a job of `scrape_configs`", mistakes);
    let line = table.line;
    let name = table.text("job_name", mistakes).filter(|name| !name.is_empty());
    if name.is_none() {
        mistakes.add(line, "a job needs a `job_name`");
    }
    let (interval, timeout) = times(&mut table, global, mistakes);
    let metrics_path = table.text("metrics_path", mistakes).unwrap_or_else(|| "/metrics".to_owned());
    let known_scheme = |text: &str| matches!(text, "http" | "https").then(|| text.to_owned());
    let scheme = table.parsed("scheme", "http or https", known_scheme, mistakes);
    let params = params(&mut table, mistakes);
    let limits = limits(&mut table, mistakes);
    let target_limit = table.limit("target_limit", mistakes);
    let honor_labels = table.flag("honor_labels", mistakes).unwrap_or(false);
    let honor_timestamps = table.flag("honor_timestamps", mistakes).unwrap_or(true);
    let relabel = rules(&mut table, "relabel_configs", mistakes);
    let metric_relabel = rules(&mut table, "metric_relabel_configs", mistakes);
    let finders = finders::finders(&mut table, folder, mistakes);
    let settings = http::settings(&mut table, folder, mistakes);
    let client = http::client(settings, line, mistakes);
    let not_done: Vec<(&str, &str)> = finders::NOT_DONE
        .iter()
        .map(|key| (*key, "; there are static, file, http and kubernetes"))
        .chain(http::NOT_DONE)
        .collect();
    table.finish_with(&not_done, mistakes);
    let job = ScrapeJob { name: name?.into(), honor_labels, honor_timestamps, limits, metric_relabel, client };
    let scheme = scheme.unwrap_or_else(|| "http".to_owned());
    let defaults = TargetDefaults { job: Arc::new(job), interval, timeout, metrics_path, scheme, params, relabel };
    Some(Job { defaults, finders, target_limit })
}

fn times(table: &mut Table<'_>, global: Global, mistakes: &mut Mistakes) -> (Duration, Duration) {
    let line = table.line;
    let zero_is_global = |time: Option<Duration>| time.filter(|time| !time.is_zero());
    let interval = zero_is_global(table.duration("scrape_interval", mistakes)).unwrap_or(global.interval);
    let own_timeout = zero_is_global(table.duration("scrape_timeout", mistakes));
    let timeout = own_timeout.unwrap_or(global.timeout.min(interval));
    if timeout > interval {
        mistakes.add(line, "the scrape timeout is longer than the scrape interval");
    }
    if !(SCRAPE_INTERVAL_MIN..=SCRAPE_INTERVAL_MAX).contains(&interval) {
        mistakes.add(line, format!("the scrape interval lies between {SCRAPE_INTERVAL_MIN:?} and {SCRAPE_INTERVAL_MAX:?}"));
    }
    (interval, timeout)
}

fn params(table: &mut Table<'_>, mistakes: &mut Mistakes) -> Vec<(String, Vec<String>)> {
    let Some(entry) = table.take("params") else { return Vec::new() };
    let mut params = Vec::new();
    for entry in entry.value.table("params", mistakes).entries() {
        let values = entry.value.list(&entry.key, mistakes);
        let values = values.iter().filter_map(|value| value.text(&entry.key, mistakes).map(str::to_owned));
        params.push((entry.key.clone(), values.collect()));
    }
    params
}

fn limits(table: &mut Table<'_>, mistakes: &mut Mistakes) -> ScrapeLimits {
    let body = table.parsed("body_size_limit", "a size such as 10MB", size, mistakes).filter(|bytes| *bytes > 0);
    ScrapeLimits {
        body_bytes: body.map_or(SCRAPE_BYTES_MAX, |bytes| bytes.min(SCRAPE_BYTES_MAX)),
        samples: table.limit("sample_limit", mistakes),
        labels: table.limit("label_limit", mistakes),
        label_name_bytes: table.limit("label_name_length_limit", mistakes),
        label_value_bytes: table.limit("label_value_length_limit", mistakes),
    }
}

/// `10MB`, `1GiB`, `512B`: powers of 1024 either way, as Prometheus takes them.
fn size(text: &str) -> Option<usize> {
    if text == "0" {
        return Some(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim_end_matches('B').trim_end_matches('i') {
        "" if unit == "B" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1024usize.checked_pow(power)?)
}

fn rules(table: &mut Table<'_>, key: &str, mistakes: &mut Mistakes) -> RelabelRules {
    let Some(entry) = table.take(key) else { return RelabelRules::default() };
    let nodes = entry.value.list(key, mistakes);
    RelabelRules::new(nodes.iter().filter_map(|node| rule(node, mistakes)).collect())
}

fn rule(node: &Node, mistakes: &mut Mistakes) -> Option<RelabelRule> {
    let before = mistakes.0.len();
    let mut table = node.table("a relabel rule", mistakes);
    let config = RelabelConfig {
        action: table.text("action", mistakes),
        source_labels: table.texts("source_labels", mistakes),
        separator: table.text("separator", mistakes),
        regex: table.text("regex", mistakes),
        modulus: table.parsed("modulus", "a number", |text| text.parse().ok(), mistakes),
        target_label: table.text("target_label", mistakes),
        replacement: table.text("replacement", mistakes),
    };
    table.finish(mistakes);
    if mistakes.0.len() > before {
        return None;
    }
    RelabelRule::new(config).map_err(|error| mistakes.add(node.line, error)).ok()
}

#[cfg(test)]
mod tests;
