//! What a real Prometheus scrapes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::prometheus::Prometheus;
use crate::support::running::get;

/// A target as both sides tell it: its URL and its labels.
pub type Seen = BTreeMap<String, Vec<(String, Value)>>;

impl Prometheus {
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
        seen.values_mut().for_each(|targets| targets.sort_by_key(|(url, labels)| (url.clone(), labels.to_string())));
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
