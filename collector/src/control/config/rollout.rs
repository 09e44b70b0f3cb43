//! How far the newest configuration has come on its way to the proxies that it concerns.

use sidelight_api::config::Rollout;
use sidelight_api::proxy::SyncState;
use sidelight_mesh::config::{Object, Spec, labels_match};
use sidelight_mesh::identity::{NodeIdentity, NodeType};

use crate::control::proxies::Record;

/// All proxies at one moment.
pub(super) struct Progress {
    pub(super) records: Vec<Record>,
    /// Newest state of the mesh.
    pub(super) newest: u64,
}

/// Counts connected proxies; with a Gateway object only those that it selects, for it means nothing to others.
pub(super) fn rollout(progress: &Progress, gateway: Option<&Object>) -> Rollout {
    let mut counts = Rollout::default();
    for record in progress.records.iter().filter(|r| r.connected && gateway.is_none_or(|g| selects(g, &r.identity))) {
        counts.proxies += 1;
        let has = |state| record.types.values().any(|sync| sync.state == state);
        if has(SyncState::Refused) {
            counts.refused += 1;
        } else if record.types.is_empty() || has(SyncState::Waiting) || record.seen < progress.newest {
            counts.waiting += 1;
        } else {
            counts.applied += 1;
        }
    }
    counts
}

fn selects(gateway: &Object, node: &NodeIdentity) -> bool {
    match &gateway.spec {
        Spec::Gateway(spec) => node.node_type == NodeType::Router && labels_match(&spec.selector, &node.labels),
        _ => true,
    }
}
