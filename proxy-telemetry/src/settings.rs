//! What may change while the proxy runs: log formats, sinks and tracing arrive with its listeners.

use http::HeaderName;

use crate::access_log::AccessLog;
use crate::context::ContextOptions;
use crate::export::ZipkinExporter;
use crate::request_id::{Gates, X_CLIENT_TRACE_ID, X_REQUEST_ID};
use crate::spans;

/// Everything off by default: metrics alone are always on.
#[derive(Clone, Debug, Default)]
pub struct TelemetrySettings {
    /// Where and how requests are logged; `None` logs nothing.
    pub access_log: Option<AccessLog>,
    /// How requests are traced; `None` neither reads nor writes trace headers.
    pub tracing: Option<TracingSettings>,
    /// Whether a request id that came with the request is replaced. `None`: only by gateways, as Envoy does at the edge.
    pub replace_request_id: Option<bool>,
}

/// Sampling, propagation and export of spans.
#[derive(Clone, Debug)]
pub struct TracingSettings {
    /// Percentage of requests traced by lot, 0 to 100; Istio's default is 1.
    pub random_percent: f64,
    /// Percentage of requests with `x-client-trace-id` that are traced for it.
    pub client_percent: f64,
    /// Upper limit over all reasons.
    pub overall_percent: f64,
    pub context: ContextOptions,
    /// Characters of the path in the `http.url` tag.
    pub max_path_tag_length: usize,
    /// Gives the upstream request a span of its own, as Istio does at gateways.
    pub spawn_upstream_span: bool,
    /// Where spans go.
    pub exporter: ZipkinExporter,
}

impl TracingSettings {
    /// Istio's defaults.
    #[must_use]
    pub fn new(exporter: ZipkinExporter) -> Self {
        Self {
            random_percent: 1.0,
            client_percent: 100.0,
            overall_percent: 100.0,
            context: ContextOptions::default(),
            max_path_tag_length: 256,
            spawn_upstream_span: false,
            exporter,
        }
    }

    pub(crate) fn gates(&self) -> Gates {
        Gates { client: self.client_percent, random: self.random_percent, overall: self.overall_percent }
    }
}

/// Settings in use, with what follows from them.
pub(crate) struct Active {
    pub settings: TelemetrySettings,
    /// Headers that a finished request must still know.
    pub request_headers: Vec<HeaderName>,
    pub response_headers: Vec<HeaderName>,
}

impl Active {
    pub(crate) fn new(settings: TelemetrySettings) -> Self {
        let mut request_headers = vec![X_REQUEST_ID, X_CLIENT_TRACE_ID];
        let mut response_headers = Vec::new();
        if settings.tracing.is_some() {
            request_headers.extend(spans::REQUEST_HEADERS);
        }
        if let Some(log) = &settings.access_log {
            request_headers.extend(log.format.request_headers());
            response_headers.extend(log.format.response_headers());
        }
        for names in [&mut request_headers, &mut response_headers] {
            names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
            names.dedup();
        }
        Self { settings, request_headers, response_headers }
    }
}
