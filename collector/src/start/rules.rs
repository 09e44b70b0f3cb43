//! Starts the evaluation of rules, and whoever tells of alerts.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::reachable;
use crate::forward::Forwarder;
use crate::ingest::scrape::{Leases, Wish};
use crate::own_metrics::OwnMetrics;
use crate::pipeline::Intake;
use crate::rules::{Engine, LoadedRules, Notifier, Ownership, Protocol, RuleMistakes, Rules, address};
use crate::settings::{RuleSettings, Settings};
use crate::store::Store;

/// Under which the evaluation is shared among the collectors of a database, beside the targets.
const KEY: &str = "sidelight:rules";

/// Where several collectors share the targets, one of them evaluates the rules.
pub(super) fn share(leases: Option<Leases>, settings: &RuleSettings) -> (Option<Leases>, Ownership) {
    if settings.files.is_empty() && !settings.shipped {
        return (leases, Ownership::alone());
    }
    let Some(leases) = leases else { return (None, Ownership::alone()) };
    let key: Arc<str> = KEY.into();
    let wish = Wish { interval: settings.interval, is_own: false, described: "".into() };
    let leases = leases.also(key.clone(), wish);
    let ownership = Ownership::shared(key, leases.owned(), leases.fence());
    (Some(leases), ownership)
}

/// What rules need of the rest.
pub(super) struct RuleParts<'a> {
    pub settings: &'a Settings,
    pub dashboard: SocketAddr,
    pub store: &'a Arc<dyn Store>,
    pub intake: &'a Intake,
    pub forwarder: Option<Forwarder>,
    pub ownership: Ownership,
    pub metrics: &'a OwnMetrics,
    pub stop: &'a CancellationToken,
}

pub(super) async fn start(parts: RuleParts<'_>) -> Result<(LoadedRules, Vec<JoinHandle<()>>), RuleMistakes> {
    let settings = &parts.settings.rules;
    if settings.files.is_empty() && !settings.shipped {
        return Ok((LoadedRules::default(), Vec::new()));
    }
    let own_url = || format!("http://{}/prometheus", reachable(parts.dashboard));
    let external_url = settings.external_url.as_ref().map_or_else(own_url, |url| url.trim_end_matches('/').to_owned());
    let (external_url, metrics): (Arc<str>, _) = (external_url.into(), parts.metrics.rules());
    let alertmanagers = settings.alertmanagers.iter().map(|url| (Protocol::Alertmanager, url.clone()));
    let webhooks = settings.webhooks.iter().map(|url| (Protocol::Webhook, url.clone()));
    let receivers = alertmanagers.chain(webhooks).collect();
    let (notifier, mut tasks) = Notifier::start(receivers, &external_url, &metrics, parts.stop);
    let engine = Engine {
        store: Arc::clone(parts.store),
        intake: parts.intake.clone(),
        forwarder: parts.forwarder,
        external_url,
        metrics,
    };
    let (rules, loaded) = Rules::start(settings.sources(), engine, notifier, parts.ownership, parts.stop.clone()).await?;
    tasks.push(tokio::spawn(rules.run()));
    Ok((loaded, tasks))
}

/// Where each Alertmanager takes alerts, without what may be a secret.
pub(super) fn alertmanagers(settings: &RuleSettings) -> Vec<String> {
    let shown = settings.alertmanagers.iter().map(|url| crate::settings::ForwardUrl(url.to_string()));
    shown.map(|url| address(Protocol::Alertmanager, &url)).collect()
}
