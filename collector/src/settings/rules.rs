//! What rules are evaluated, and who is told of alerts.

use std::time::Duration;

use super::{ForwardUrl, check_url};
use crate::ingest::scrape::config::is_url;
use crate::rules::{RuleMistakes, RuleSources, parse};

/// Shortest time between two evaluations of a group, and longest.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Receivers of alerts.
const RECEIVERS_MAX: usize = 16;

#[derive(Clone, Debug)]
pub struct RuleSettings {
    /// Rule files of Prometheus; `*` in the last part of a name stands for anything.
    pub files: Vec<String>,
    /// The rules that we ship.
    pub shipped: bool,
    /// Time between two evaluations of a group that names none.
    pub interval: Duration,
    pub alertmanagers: Vec<ForwardUrl>,
    pub webhooks: Vec<ForwardUrl>,
    /// Where people who are told of alerts find us; the dashboard's address without it.
    pub external_url: Option<String>,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            shipped: false,
            interval: Duration::from_secs(60),
            alertmanagers: Vec::new(),
            webhooks: Vec::new(),
            external_url: None,
        }
    }
}

impl RuleSettings {
    #[must_use]
    pub fn sources(&self) -> RuleSources {
        RuleSources { files: self.files.clone(), shipped: self.shipped, interval: self.interval }
    }

    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&self.interval) {
            let interval = self.interval;
            mistakes
                .push(format!("the evaluation interval is {interval:?}; it lies between {INTERVAL_MIN:?} and {INTERVAL_MAX:?}"));
        }
        for url in &self.alertmanagers {
            check_url(url, "tell alerts, such as http://127.0.0.1:9093", mistakes);
        }
        for url in &self.webhooks {
            check_url(url, "tell alerts, such as http://127.0.0.1:8080/alerts", mistakes);
        }
        if self.alertmanagers.len() + self.webhooks.len() > RECEIVERS_MAX {
            mistakes.push(format!("more than {RECEIVERS_MAX} receivers of alerts; let an Alertmanager tell the others"));
        }
        if let Some(url) = self.external_url.as_deref().filter(|url| !is_url(url)) {
            mistakes.push(format!("`{url}` is not a URL of ours, such as https://mesh.example.com/prometheus"));
        }
        if let Err(RuleMistakes(found)) = self.sources().read().and_then(|texts| parse(&texts)) {
            mistakes.extend(found);
        }
    }
}
