//! The handle a proxy holds: identity, registries and settings in use.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use sidelight_mesh::identity::{NodeIdentity, NodeType};

use crate::exchange::Exchange;
use crate::exposition::{self, Query};
use crate::labels::Reporter;
use crate::metrics::{Families, Registry, RegistrySettings};
use crate::peer::{OwnHeaders, PeerCache};
use crate::record::RequestHead;
use crate::settings::{Active, TelemetrySettings};

/// All telemetry of one proxy. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Telemetry(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub identity: NodeIdentity,
    pub own: OwnHeaders,
    pub peers: PeerCache,
    pub registry: Registry,
    pub families: Families,
    pub active: ArcSwap<Active>,
}

/// What was lost and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TelemetryCounters {
    pub spans_sent: u64,
    pub spans_dropped: u64,
    pub log_lines_written: u64,
    pub log_lines_dropped: u64,
    /// Requests counted in the overflow series because there were too many label sets.
    pub series_overflowed: u64,
}

impl Telemetry {
    /// Telemetry of one proxy, with `istio_build` already in its families.
    #[must_use]
    pub fn new(identity: NodeIdentity, settings: TelemetrySettings) -> Self {
        Self::with_registry(identity, settings, RegistrySettings::default())
    }

    /// The same with other bounds for metrics.
    #[must_use]
    pub fn with_registry(identity: NodeIdentity, settings: TelemetrySettings, registry: RegistrySettings) -> Self {
        let families = Families::default();
        let tag = if identity.istio_version.is_empty() { "unknown" } else { &identity.istio_version };
        families.gauge("istio_build", &[("component", "proxy"), ("tag", tag)]).set(1);
        Self(Arc::new(Shared {
            own: OwnHeaders::new(&identity),
            identity,
            peers: PeerCache::default(),
            registry: Registry::new(registry),
            families,
            active: ArcSwap::from_pointee(Active::new(settings)),
        }))
    }

    /// Who this proxy is.
    #[must_use]
    pub fn identity(&self) -> &NodeIdentity {
        &self.0.identity
    }

    /// Families for counters and gauges of the proxy's own, such as `envoy_server_live`.
    #[must_use]
    pub fn families(&self) -> &Families {
        &self.0.families
    }

    /// Replaces the settings; requests under way finish with the old ones.
    pub fn set_settings(&self, settings: TelemetrySettings) {
        self.0.active.store(Arc::new(Active::new(settings)));
    }

    /// The settings in use.
    #[must_use]
    pub fn settings(&self) -> TelemetrySettings {
        self.0.active.load().settings.clone()
    }

    /// Begins an exchange: request id, sampling and the client's identity are decided here.
    /// To be called when the request's head is complete.
    #[must_use]
    pub fn start(&self, reporter: Reporter, head: &RequestHead<'_>) -> Exchange {
        Exchange::start(self, reporter, head, Instant::now())
    }

    /// The text of `/stats/prometheus` for a query string (without its question mark).
    #[must_use]
    pub fn render_metrics(&self, query: &str) -> String {
        let Shared { registry, families, .. } = &*self.0;
        let overflow = families.counter("sidelight_metric_series_overflow_total", &[]);
        overflow.add(registry.overflowed().saturating_sub(overflow.get()));
        exposition::render(registry, families, &Query::parse(query))
    }

    /// Waits until all log lines and spans so far are written, sent or dropped.
    pub async fn flush(&self) {
        let settings = self.settings();
        if let Some(log) = settings.access_log {
            log.sink.flush().await;
        }
        if let Some(tracing) = settings.tracing {
            tracing.exporter.flush().await;
        }
    }

    /// What was lost and what was not, under the settings in use.
    #[must_use]
    pub fn counters(&self) -> TelemetryCounters {
        let active = self.0.active.load();
        let sink = active.settings.access_log.as_ref().map(|log| &log.sink);
        let spans = active.settings.tracing.as_ref().map(|t| t.exporter.counters());
        TelemetryCounters {
            spans_sent: spans.map_or(0, |s| s.spans_sent.get()),
            spans_dropped: spans.map_or(0, |s| s.dropped()),
            log_lines_written: sink.map_or(0, |s| s.written()),
            log_lines_dropped: sink.map_or(0, |s| s.dropped()),
            series_overflowed: self.0.registry.overflowed(),
        }
    }
}

impl Shared {
    /// Whether a request id from outside is replaced.
    pub(crate) fn replaces_request_id(&self, settings: &TelemetrySettings) -> bool {
        settings.replace_request_id.unwrap_or(self.identity.node_type == NodeType::Router)
    }
}
