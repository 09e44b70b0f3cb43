//! Who is scraped: registered proxies, configured URLs, a file of targets, a server that tells targets, and the jobs of a
//! scrape configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sidelight_mesh::identity::NodeIdentity;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::control::{ControlPlane, Target};
use crate::ingest::scrape::client::HttpClient;
use crate::ingest::scrape::config::{self, Finder, Job};
use crate::ingest::scrape::report::TargetsPage;
use crate::ingest::scrape::{
    Discovery, HttpDiscovery, LabelSet, Leases, ScrapeClock, ScrapeStatuses, ScrapeTarget, Sources, TargetDefaults, TargetGroup,
    sanitized, url_labels, watch_file, watch_job,
};
use crate::own_metrics::OwnMetrics;
use crate::settings::{Database, Settings};
use crate::store::Store;

/// Job of the proxies that registered.
const REGISTERED: &str = "sidelight-proxies";
/// Job of the URLs of the settings.
const CONFIGURED: &str = "sidelight-urls";
/// Job of `--scrape-file`.
const FILE: &str = "sidelight-file";
/// Job of `--scrape-http-sd`.
const HTTP: &str = "sidelight-http";
/// How often that server is asked, as Prometheus does.
const HTTP_REFRESH: Duration = Duration::from_secs(60);

/// One source for each of them; `stop` ends their tasks.
pub(super) async fn sources(
    settings: &Settings,
    control: &ControlPlane,
    stop: &CancellationToken,
) -> Result<Sources, StartError> {
    let envoys = |job| TargetDefaults::envoys(job, settings.scrape_interval);
    let mut sources = vec![registered(envoys(REGISTERED), control.targets(), stop.clone())];
    if !settings.scrape_urls.is_empty() {
        let targets = settings.scrape_urls.iter().filter_map(|url| url_labels(url)).collect();
        let groups = [TargetGroup { targets, labels: LabelSet::default() }];
        sources.push(watch::channel(Arc::new(Discovery::of(&envoys(CONFIGURED), &groups))).1);
    }
    if let Some(path) = &settings.scrape_file {
        sources.push(watch_file(path.clone(), envoys(FILE), stop.clone()).await?);
    }
    if let Some(url) = &settings.scrape_http_sd {
        let server = HttpDiscovery { url: url.clone(), refresh: HTTP_REFRESH, client: HttpClient::plain() };
        let job = Job { defaults: envoys(HTTP), finders: vec![Finder::Http(server)], target_limit: None };
        sources.push(watch_job(job, stop.clone()));
    }
    if let Some(path) = &settings.scrape_config {
        sources.extend(config::read(path)?.into_iter().map(|job| watch_job(job, stop.clone())));
    }
    Ok(sources)
}

/// Where several collectors may share the database they share the targets.
pub(super) fn leases(
    settings: &Settings,
    collector_id: &Arc<str>,
    store: &Arc<dyn Store>,
    clock: &ScrapeClock,
    metrics: &Arc<OwnMetrics>,
) -> Option<Leases> {
    match settings.database {
        Database::Sqlite(_) => None,
        Database::Postgres(_) => Some(Leases::join(collector_id.clone(), store.clone(), clock.clone(), metrics.clone())),
    }
}

/// What is told of targets.
pub(super) fn page(
    clock: &ScrapeClock,
    statuses: &ScrapeStatuses,
    store: &Arc<dyn Store>,
    collector_id: &Arc<str>,
) -> TargetsPage {
    TargetsPage { clock: clock.clone(), statuses: statuses.clone(), store: store.clone(), collector_id: collector_id.clone() }
}

fn registered(
    defaults: TargetDefaults,
    mut proxies: watch::Receiver<Arc<[Target]>>,
    stop: CancellationToken,
) -> watch::Receiver<Arc<Discovery>> {
    let convert = move |proxies: &[Target]| {
        let targets = proxies.iter().filter_map(|target| proxy(&defaults, target)).collect();
        Arc::new(Discovery { pool: REGISTERED.into(), targets, ..Discovery::default() })
    };
    let (sender, receiver) = watch::channel(convert(&proxies.borrow_and_update()));
    tokio::spawn(async move {
        while let Some(Ok(())) = stop.run_until_cancelled(proxies.changed()).await {
            sender.send_replace(convert(&proxies.borrow_and_update()));
        }
    });
    receiver
}

fn proxy(defaults: &TargetDefaults, target: &Target) -> Option<ScrapeTarget> {
    let identity = &target.identity;
    let mut labels = url_labels(&target.url)?;
    for (name, value) in described(identity) {
        labels.set(&name, value);
    }
    let node_id: Arc<str> = target.id.as_str().into();
    let alias = |port| SocketAddr::new(identity.ip, port).to_string();
    let made = defaults.target(&labels).ok()?.ok()?;
    Some(ScrapeTarget {
        former_keys: [node_id.clone()].into(),
        node_id: Some(node_id),
        aliases: [alias(identity.ports.prometheus), alias(identity.ports.status)].into(),
        namespace: identity.namespace.as_str().into(),
        connected: target.connected,
        registered_at_ms: Some(target.registered_at_ms),
        ..made
    })
}

/// The labels that Istio's job for pods gives: those of the pod, its namespace and its name.
fn described(identity: &NodeIdentity) -> impl Iterator<Item = (String, &str)> {
    let pod = [("namespace", &identity.namespace), ("pod", &identity.name)];
    let labels = identity.labels.iter().map(|(name, value)| (sanitized(name), value.as_str()));
    labels.chain(pod.map(|(name, value)| (name.to_owned(), value.as_str())))
}
