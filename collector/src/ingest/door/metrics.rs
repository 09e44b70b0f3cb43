//! What doors tell of themselves beside the counts of items.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::own_metrics::Outcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorName {
    door: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorOutcome {
    door: &'static str,
    outcome: &'static str,
}

/// Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct DoorMetrics {
    requests: Family<DoorName, Gauge>,
    handshakes: Family<DoorOutcome, Counter>,
    reloads: Family<Outcome, Counter>,
    cut: Family<DoorName, Counter>,
}

impl DoorMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("door_requests", "Requests that are being read, decoded or written", self.requests.clone());
        registry.register("door_tls_handshakes", "TLS handshakes by outcome", self.handshakes.clone());
        registry.register("door_texts_cut", "Names and values that were longer than they are kept", self.cut.clone());
        registry.register("door_credential_reloads", "Changed certificates and tokens by outcome", self.reloads.clone());
    }

    pub(super) fn entered(&self, door: &'static str) {
        self.requests.get_or_create(&DoorName { door }).inc();
    }

    pub(super) fn left(&self, door: &'static str) {
        self.requests.get_or_create(&DoorName { door }).dec();
    }

    pub fn shook_hands(&self, door: &'static str, is_ok: bool) {
        self.handshakes.get_or_create(&DoorOutcome { door, outcome: if is_ok { "done" } else { "failed" } }).inc();
    }

    pub(super) fn cut(&self, door: &'static str, texts: u64) {
        if texts > 0 {
            self.cut.get_or_create(&DoorName { door }).inc_by(texts);
        }
    }

    pub(super) fn reloaded(&self, is_ok: bool) {
        self.reloads.get_or_create(&Outcome { outcome: if is_ok { "taken" } else { "failed" } }).inc();
    }
}
