//! `GET /api/proxies`: which proxies there are, and how far each has come.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sidelight_api::proxy::{Proxy, ProxyList, SyncState};

use super::Control;
use crate::control::proxies::Record;
use crate::control::{Inner, ScrapeReport};

pub(super) async fn list(State(inner): Control) -> Json<ProxyList> {
    let report = inner.scrapes.read().clone();
    let records = inner.proxies.list();
    let version = version(&inner);
    Json(ProxyList { proxies: records.iter().map(|record| proxy(record, report.as_deref())).collect(), version })
}

fn version(inner: &Arc<Inner>) -> String {
    inner.view.borrow().sequence().to_string()
}

fn proxy(record: &Record, report: Option<&ScrapeReport>) -> Proxy {
    let identity = &record.identity;
    let refused = record.types.values().filter(|sync| sync.state == SyncState::Refused);
    let last_refused = refused.max_by_key(|sync| sync.sent_at_ms).and_then(|sync| sync.error.clone());
    Proxy {
        node_id: identity.node_id.clone(),
        node_type: identity.node_type.as_str().to_owned(),
        name: identity.name.clone(),
        namespace: identity.namespace.clone(),
        workload: identity.workload.clone(),
        app: identity.app.clone(),
        version: identity.version.clone(),
        cluster: identity.cluster_id.clone(),
        addresses: identity.addresses.iter().map(ToString::to_string).collect(),
        connected: record.connected,
        connected_at_ms: record.connected_at_ms,
        types: record.types.iter().map(|(kind, sync)| (kind.short().to_owned(), sync.clone())).collect(),
        last_error: last_refused,
        scrape: report.and_then(|report| report(&identity.node_id)),
    }
}
