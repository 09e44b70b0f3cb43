//! Points telemetry where the listeners in force say: access log format and file, sampling, Zipkin cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sidelight_telemetry::access_log::{AccessLog as LogWriter, ENVOY_DEFAULT, Format, LogSink, LogTarget};
use sidelight_telemetry::context::ContextOptions;
use sidelight_telemetry::export::{ZipkinExporter, ZipkinSettings, ZipkinTarget};
use sidelight_telemetry::{Telemetry, TelemetrySettings, TracingSettings};
use tracing::warn;

use crate::config::http_manager::{AccessLog, HttpManager, LogFormat, Tracing, Zipkin};
use crate::config::listener::Listener;
use crate::options::AccessLogSink;
use crate::upstream::Upstreams;

/// Log files that are kept open.
const SINKS_MAX: usize = 16;

pub struct Reporting {
    telemetry: Telemetry,
    log_override: Option<AccessLogSink>,
    sinks: BTreeMap<String, LogSink>,
    exporter: Option<ZipkinExporter>,
    current: Option<Wanted>,
    target: Option<ZipkinTarget>,
}

/// What the first listener that says anything about logs and traces says; all listeners of one proxy say the same.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wanted {
    log: Option<AccessLog>,
    tracing: Option<Tracing>,
    preserve_request_id: Option<bool>,
}

impl Reporting {
    pub fn new(telemetry: Telemetry, log_override: Option<AccessLogSink>) -> Self {
        Self { telemetry, log_override, sinks: BTreeMap::new(), exporter: None, current: None, target: None }
    }

    /// False when the collector of spans is configured and has no address yet.
    pub fn apply<'a>(&mut self, listeners: impl Iterator<Item = &'a Arc<Listener>>, upstreams: &Upstreams) -> bool {
        let mut wanted = Wanted::default();
        for http in listeners.filter_map(|listener| listener.http()) {
            wanted.take(http);
        }
        if self.current.as_ref() != Some(&wanted) {
            let settings = TelemetrySettings {
                access_log: wanted.log.as_ref().and_then(|log| self.log_writer(log)),
                tracing: wanted.tracing.as_ref().and_then(|t| self.tracing(t)),
                replace_request_id: wanted.preserve_request_id.map(|keep| !keep),
            };
            self.telemetry.set_settings(settings);
            self.current = Some(wanted.clone());
        }
        match wanted.tracing.as_ref().and_then(|t| t.zipkin.as_ref()) {
            Some(zipkin) => self.aim(zipkin, upstreams),
            None => true,
        }
    }

    fn log_writer(&mut self, log: &AccessLog) -> Option<LogWriter> {
        let format = match &log.format {
            None => ENVOY_DEFAULT,
            Some(LogFormat::Text(text)) => text,
            Some(LogFormat::Json(_)) => {
                warn!("JSON access logs are not honoured: Envoy's text format is written");
                ENVOY_DEFAULT
            }
        };
        let format = Format::parse(format).inspect_err(|error| warn!(%error, "access log is off")).ok()?;
        Some(LogWriter::new(format, self.sink(&log.path)?))
    }

    fn sink(&mut self, path: &str) -> Option<LogSink> {
        let (key, target) = match &self.log_override {
            Some(AccessLogSink::Discard) => return None,
            Some(AccessLogSink::Stdout) => (String::new(), LogTarget::Stdout),
            Some(AccessLogSink::File(path)) => (String::new(), LogTarget::File(path.clone())),
            Some(AccessLogSink::Memory(log)) => (String::new(), LogTarget::Memory(log.clone())),
            None if path == "/dev/stdout" => (path.to_owned(), LogTarget::Stdout),
            None => (path.to_owned(), LogTarget::File(PathBuf::from(path))),
        };
        if let Some(sink) = self.sinks.get(&key) {
            return Some(sink.clone());
        }
        if self.sinks.len() >= SINKS_MAX {
            self.sinks.clear();
        }
        let sink = LogSink::open(target, self.telemetry.families())
            .inspect_err(|error| warn!(%error, path, "access log cannot be opened and is off"))
            .ok()?;
        self.sinks.insert(key, sink.clone());
        Some(sink)
    }

    fn tracing(&mut self, from: &Tracing) -> Option<TracingSettings> {
        let zipkin = from.zipkin.as_ref()?;
        if zipkin.shared_spans {
            warn!("shared_span_context is not honoured: every proxy makes a span of its own");
        }
        let exporter = self.exporter.get_or_insert_with(|| {
            ZipkinExporter::start(ZipkinSettings::default(), None, self.telemetry.identity(), self.telemetry.families())
        });
        let mut settings = TracingSettings::new(exporter.clone());
        settings.random_percent = from.random_percent;
        settings.client_percent = from.client_percent;
        settings.overall_percent = from.overall_percent;
        settings.max_path_tag_length = from.path_tag_max as usize;
        settings.spawn_upstream_span = from.upstream_span;
        settings.context = ContextOptions { wide_ids: zipkin.wide_ids, w3c: zipkin.with_w3c };
        Some(settings)
    }

    /// Spans go to a host of the collector's cluster; which one may change whenever the configuration does.
    fn aim(&mut self, zipkin: &Zipkin, upstreams: &Upstreams) -> bool {
        let host = upstreams.find(&zipkin.cluster).and_then(|cluster| cluster.pick(None));
        let target = host.map(|host| ZipkinTarget {
            authority: host.address.to_string(),
            host: zipkin.host.clone(),
            path: zipkin.path.clone(),
        });
        let known = target.is_some();
        if target != self.target
            && let Some(exporter) = &self.exporter
        {
            exporter.set_target(target.clone());
            self.target = target;
        }
        known
    }
}

impl Wanted {
    fn take(&mut self, http: &HttpManager) {
        if self.log.is_none() {
            self.log = http.access_logs.first().cloned();
        }
        if self.tracing.is_none() {
            self.tracing.clone_from(&http.tracing);
        }
        if http.preserve_request_id {
            self.preserve_request_id = Some(true);
        }
    }
}
