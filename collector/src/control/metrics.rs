//! What the control plane counts of itself.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::resources::Kind;
use crate::own_metrics::Outcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    /// `CDS`, `EDS`, `LDS`, `RDS`, or `other`.
    r#type: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Type {
    r#type: &'static str,
}

/// Counters that all clones share.
#[derive(Clone, Debug, Default)]
pub struct ControlMetrics {
    responses: Family<Type, Counter>,
    requests: Family<OfType, Counter>,
    streams: Family<Outcome, Counter>,
    edits: Family<Outcome, Counter>,
    proxies: Gauge,
}

impl ControlMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("control_responses", "xDS responses to proxies by type", self.responses.clone());
        registry.register("control_requests", "xDS requests of proxies by type and meaning", self.requests.clone());
        registry.register("control_streams", "ADS streams by what became of them", self.streams.clone());
        registry.register("control_edits", "Changes of configuration by outcome", self.edits.clone());
        registry.register("control_proxies", "Registered proxies", self.proxies.clone());
    }

    pub(super) fn responded(&self, kind: Kind) {
        self.responses.get_or_create(&Type { r#type: kind.short() }).inc();
    }

    /// `None` for a type that is not handed out.
    pub(super) fn asked(&self, kind: Option<Kind>, outcome: &'static str) {
        self.requests.get_or_create(&OfType { r#type: kind.map_or("other", Kind::short), outcome }).inc();
    }

    pub(super) fn stream(&self, outcome: &'static str) {
        self.streams.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn edited(&self, outcome: &'static str) {
        self.edits.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn proxies(&self, count: usize) {
        self.proxies.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
