//! Logs to stderr, as text or JSON, and our own traces over OTLP to whoever is named.

use clap::{Args, ValueEnum};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::exit::Exit;

/// The standard variable; without it no exporter is built and no span is made.
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Flushes our own traces when dropped.
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown()
        {
            eprintln!("our own traces were not flushed: {error}");
        }
    }
}

/// Flags of every command; they stand behind its own.
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// trace, debug, info, warn, error, off, or a list such as `info,sidelight_sidecar=debug`
    #[arg(long, global = true, display_order = 900, env = "SIDELIGHT_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Lines for people, or one JSON object a line
    #[arg(long, global = true, display_order = 901, env = "SIDELIGHT_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Send Sidelight's own traces by OTLP (gRPC), also to the collector itself: http://127.0.0.1:4317
    #[arg(long, global = true, display_order = 902, env = "SIDELIGHT_OWN_TRACES", value_name = "URL")]
    pub own_traces: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The level is one of Envoy or tracing, or a list of `target=level`.
///
/// # Errors
/// The level or the exporter's settings are wrong.
pub fn start(args: &LogArgs, default: &str, service: &'static str) -> Result<Traces, Exit> {
    let filter = filter(args.log_level.as_deref().unwrap_or(default))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    let logs = match args.log_format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    let is_wanted = args.own_traces.is_some() || std::env::var_os(OTLP_ENDPOINT).is_some();
    let provider = is_wanted.then(|| exporter(args.own_traces.as_deref(), service)).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        // Ours alone: the libraries beneath the exporter would tell of the export itself.
        let ours = Targets::new().with_target("sidelight", LevelFilter::INFO);
        tracing_opentelemetry::layer().with_tracer(provider.tracer("sidelight")).with_filter(ours)
    });
    // Spans first: their filter is their own, the logs' filter must not hide them.
    let _ = tracing_subscriber::registry().with(spans).with(logs).try_init();
    Ok(Traces(provider))
}

fn filter(level: &str) -> Result<EnvFilter, Exit> {
    let level = match level {
        "warning" => "warn",
        "critical" => "error",
        other => other,
    };
    EnvFilter::try_new(level).map_err(|error| Exit::settings(format!("--log-level `{level}`: {error}")))
}

/// Sends in the background, from a queue that drops what it cannot hold.
fn exporter(url: Option<&str>, service: &'static str) -> Result<SdkTracerProvider, Exit> {
    let mut marked = tonic::metadata::MetadataMap::new();
    // A collector that is sent its own spans makes no spans of taking them in.
    marked.insert(sidelight_collector::web::OWN_TRACES, tonic::metadata::MetadataValue::from_static("1"));
    let mut builder = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_metadata(marked);
    if let Some(url) = url {
        builder = builder.with_endpoint(url);
    }
    let flag = if url.is_some() { "--own-traces" } else { OTLP_ENDPOINT };
    let exporter = builder.build().map_err(|error| Exit::settings(format!("{flag}: {error}")))?;
    let resource = opentelemetry_sdk::Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoys_levels_are_understood() {
        for level in ["trace", "debug", "info", "warning", "error", "critical", "off", "info,hyper=warn"] {
            assert!(filter(level).is_ok(), "{level}");
        }
        assert!(matches!(filter("info,=="), Err(Exit::Settings(_))));
    }
}
