//! Logs to stderr, and our own traces over OTLP where the environment names a receiver.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer as _;
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

/// `level` is a level of Envoy or tracing, or a list of `target=level`.
///
/// # Errors
/// The level or the exporter's settings are wrong.
pub fn start(level: Option<&str>, default: &str) -> Result<Traces, Exit> {
    let filter = filter(level.unwrap_or(default))?;
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    let provider = std::env::var_os(OTLP_ENDPOINT).map(|_| exporter()).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        let tracer = provider.tracer("sidelight");
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(tracing_subscriber::filter::LevelFilter::INFO)
    });
    // Spans first: their filter is their own, the logs' filter must not hide them.
    let _ = tracing_subscriber::registry().with(spans).with(logs.with_filter(filter)).try_init();
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

fn exporter() -> Result<SdkTracerProvider, Exit> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .build()
        .map_err(|error| Exit::settings(format!("{OTLP_ENDPOINT}: {error}")))?;
    let resource = opentelemetry_sdk::Resource::builder().with_service_name("sidelight").build();
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
