//! Makes the collector one of the workloads that it watches.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::ingest::scrape::{Discovery, LabelSet, TargetDefaults, TargetGroup, url_labels};
use crate::own_requests::OwnRequests;
use crate::settings::Settings;

/// Job of the collector itself.
const SELF: &str = "sidelight-self";

/// Nothing in it when the collector does not watch itself.
#[derive(Default)]
pub(super) struct Own {
    requests: Option<OwnRequests>,
    /// The collector as somebody to scrape.
    pub source: Option<watch::Receiver<Arc<Discovery>>>,
}

impl Own {
    /// Counts the requests of a server.
    pub fn watch(&self, router: Router) -> Router {
        match &self.requests {
            Some(own) => own.watch(router),
            None => router,
        }
    }

    /// The route that tells the counts, for a Prometheus beside us.
    pub fn stats(&self) -> Router {
        self.requests.as_ref().map(OwnRequests::stats).unwrap_or_default()
    }
}

/// We scrape ourselves as anybody, but on a port of our own: the dashboard's may want a login, or TLS, or be far away.
pub(super) async fn start(settings: &Settings, dashboard: SocketAddr, stop: &CancellationToken) -> Result<Own, StartError> {
    if !settings.watch_itself {
        return Ok(Own::default());
    }
    let requests = OwnRequests::new(dashboard)?;
    let (listener, address) = super::bind("the collector's own metrics", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    tokio::spawn(crate::web::serve(listener, requests.stats(), stop.clone()));
    // Collectors on several machines may have the same port on loopback: the name keeps their targets apart.
    let url = format!("http://{address}/stats/prometheus?collector={}", uuid::Uuid::new_v4());
    let targets = url_labels(&url).into_iter().collect();
    let groups = [TargetGroup { targets, labels: LabelSet::default() }];
    let defaults = TargetDefaults::envoys(SELF, settings.scrape_interval);
    let source = watch::channel(Arc::new(Discovery::of(&defaults, &groups))).1;
    Ok(Own { requests: Some(requests), source: Some(source) })
}
