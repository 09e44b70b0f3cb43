//! Flags of recording and alerting rules, and of who is told of alerts.

use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use sidelight_collector::settings::{ForwardUrl, RuleSettings};

use super::collector::parse_interval;

#[derive(Clone, Debug, Args)]
pub struct RuleArgs {
    /// Recording and alerting rules in Prometheus' format, `*` for any name; may be repeated; read again when they change
    #[arg(long = "rules", env = "SIDELIGHT_RULES", value_delimiter = ',', value_name = "FILE.yml")]
    pub files: Vec<String>,
    /// Evaluate the rules for meshes that come along: errors, latency, proxies out of sync, scrapes that fail
    #[arg(long, env = "SIDELIGHT_DEFAULT_RULES", value_parser = BoolishValueParser::new())]
    pub default_rules: bool,
    /// Time between two evaluations of a group of rules that names none
    #[arg(long, env = "SIDELIGHT_EVALUATION_INTERVAL", default_value = "1m", value_parser = parse_interval, value_name = "TIME")]
    pub evaluation_interval: Duration,
    /// Alertmanager that is told of alerts; may be repeated, and each is told
    #[arg(
        long = "alertmanager",
        env = "SIDELIGHT_ALERTMANAGER",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "URL"
    )]
    pub alertmanagers: Vec<String>,
    /// Where alerts are posted when they fire and when they end, in the body of Alertmanager's webhooks; may be repeated
    #[arg(
        long = "alert-webhook",
        env = "SIDELIGHT_ALERT_WEBHOOK",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "URL"
    )]
    pub webhooks: Vec<String>,
    /// Where people find the API of Prometheus, for the links of alerts [default: at /prometheus on --listen]
    #[arg(long, env = "SIDELIGHT_EXTERNAL_URL", value_name = "URL")]
    pub external_url: Option<String>,
}

impl RuleArgs {
    pub fn settings(&self) -> RuleSettings {
        let urls = |texts: &[String]| texts.iter().cloned().map(ForwardUrl).collect();
        RuleSettings {
            files: self.files.clone(),
            shipped: self.default_rules,
            interval: self.evaluation_interval,
            alertmanagers: urls(&self.alertmanagers),
            webhooks: urls(&self.webhooks),
            external_url: self.external_url.clone(),
        }
    }
}
