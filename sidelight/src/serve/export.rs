//! The collector's flags for what it sends on to other backends.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use sidelight_collector::export::{ClientSettings, Destination, ExportSettings, SpanFilter};

use super::collector::parse_interval;

const MIB: u64 = 1024 * 1024;

#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// Send spans on by OTLP: http://HOST:4317 (gRPC), https://HOST:4318/v1/traces (HTTP)
    #[arg(long, env = "SIDELIGHT_EXPORT_OTLP", hide_env_values = true, value_name = "URL")]
    pub export_otlp: Option<String>,
    /// Header of requests to --export-otlp; may be repeated
    #[arg(
        long = "export-header",
        env = "SIDELIGHT_EXPORT_HEADER",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "NAME=VALUE"
    )]
    pub export_headers: Vec<String>,
    /// Send spans on as Zipkin v2 JSON: http://HOST:9411
    #[arg(long, env = "SIDELIGHT_EXPORT_ZIPKIN", hide_env_values = true, value_name = "URL")]
    pub export_zipkin: Option<String>,
    /// Certificate authorities that backends' certificates come from, instead of the public ones
    #[arg(long, env = "SIDELIGHT_EXPORT_CA", value_name = "FILE.pem")]
    pub export_ca: Option<PathBuf>,
    /// Send requests on as they are, without gzip
    #[arg(long, env = "SIDELIGHT_EXPORT_PLAIN")]
    pub export_plain: bool,
    /// Send on only spans of this service; may be repeated
    #[arg(long = "export-service", env = "SIDELIGHT_EXPORT_SERVICE", value_delimiter = ',', value_name = "NAME")]
    pub export_services: Vec<String>,
    /// Send on only spans that failed
    #[arg(long, env = "SIDELIGHT_EXPORT_ERRORS_ONLY")]
    pub export_errors_only: bool,
    /// Send on only spans that took this long: 500ms, 2s
    #[arg(long, env = "SIDELIGHT_EXPORT_MIN_DURATION", value_parser = parse_interval, value_name = "TIME")]
    pub export_min_duration: Option<Duration>,
    /// Percent of the traces that are sent on, each whole or not at all
    #[arg(long, env = "SIDELIGHT_EXPORT_SAMPLING", default_value_t = 100.0, value_name = "PERCENT")]
    pub export_sampling: f64,
    /// Spans in one request
    #[arg(long, env = "SIDELIGHT_EXPORT_BATCH", default_value_t = 1000, value_name = "SPANS")]
    pub export_batch: usize,
    /// How long spans wait for company in a request
    #[arg(long, env = "SIDELIGHT_EXPORT_DELAY", default_value = "1s", value_parser = parse_interval, value_name = "TIME")]
    pub export_delay: Duration,
    /// Megabytes in the database that wait for a backend; beyond them the oldest are dropped
    #[arg(long, env = "SIDELIGHT_EXPORT_QUEUE_MB", default_value_t = 1024, value_name = "MB")]
    pub export_queue_mb: u64,
}

impl ExportArgs {
    pub(super) fn settings(&self, mistakes: &mut Vec<String>) -> ExportSettings {
        let mut said = |flag: &str, mistake: String| mistakes.push(format!("{flag}: {mistake}"));
        let headers = headers(&self.export_headers).unwrap_or_else(|mistake| {
            said("--export-header", mistake);
            HeaderMap::new()
        });
        let mut client = |flag: &str, url: &Option<String>, read: fn(&str) -> Result<Destination, String>, headers| {
            let destination = read(url.as_deref()?).map_err(|mistake| said(flag, mistake)).ok()?;
            Some(ClientSettings { destination, headers, roots: self.export_ca.clone(), gzip: !self.export_plain })
        };
        ExportSettings {
            otlp: client("--export-otlp", &self.export_otlp, Destination::otlp, headers),
            zipkin: client("--export-zipkin", &self.export_zipkin, Destination::zipkin, HeaderMap::new()),
            filter: SpanFilter {
                services: self.export_services.iter().cloned().collect(),
                errors_only: self.export_errors_only,
                duration_min: self.export_min_duration.unwrap_or_default(),
                sampling_percent: self.export_sampling,
            },
            batch_spans: self.export_batch,
            batch_delay: self.export_delay,
            queue_bytes: self.export_queue_mb.saturating_mul(MIB),
        }
    }
}

/// Without the values in what is wrong: they may be secrets.
fn headers(texts: &[String]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for text in texts {
        let (name, value) = text.split_once('=').ok_or("a header is NAME=VALUE")?;
        let name: HeaderName = name.trim().parse().map_err(|_| format!("`{name}` is not the name of a header"))?;
        let mut value: HeaderValue = value.parse().map_err(|_| format!("the value of `{name}` cannot be sent in a header"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: ExportArgs,
    }

    fn settings(flags: &[&str]) -> (ExportSettings, Vec<String>) {
        let mut mistakes = Vec::new();
        let settings = Only::parse_from(["x"].iter().chain(flags)).args.settings(&mut mistakes);
        (settings, mistakes)
    }

    #[test]
    fn flags_become_settings() {
        let (settings, mistakes) = settings(&[
            "--export-otlp=http://jaeger:4317",
            "--export-header=authorization=Bearer x=y",
            "--export-zipkin=http://zipkin:9411",
            "--export-min-duration=5ms",
        ]);
        assert_eq!(mistakes, [""; 0]);
        let otlp = settings.otlp.unwrap();
        assert_eq!(otlp.headers["authorization"], "Bearer x=y");
        assert!(!format!("{otlp:?}").contains("Bearer"));
        assert!(settings.zipkin.unwrap().headers.is_empty(), "a secret goes only where it belongs");
        assert_eq!(settings.filter.duration_min, Duration::from_millis(5));
        assert_eq!(settings.queue_bytes, 1024 * 1024 * 1024);
    }

    #[test]
    fn mistakes_name_the_flag_and_no_secret() {
        let (_, mistakes) = settings(&["--export-otlp=jaeger", "--export-header=bad name=secret", "--export-zipkin=x"]);
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        assert_eq!(mistakes[0], "--export-header: `bad name` is not the name of a header");
        assert_eq!(mistakes[1], "--export-otlp: `jaeger` is not a URL to export to, such as http://127.0.0.1:4317");
    }
}
