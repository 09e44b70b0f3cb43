//! `sidelight collector`: settings from flags and environment, all mistakes told at once, then the collector until told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use crate::cli::parse_duration;
use crate::exit::Exit;

/// Shortest and longest time between two scrapes.
const SCRAPE_INTERVAL_S: std::ops::RangeInclusive<u64> = 1..=3_600;

#[derive(Clone, Debug, Args)]
pub struct CollectorArgs {
    /// Dashboard and APIs
    #[arg(long, env = "SIDELIGHT_LISTEN", default_value = "127.0.0.1:20001", value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// Folder for an SQLite database [default: a folder of the user's own]
    #[arg(long, env = "SIDELIGHT_DATA", value_name = "DIR", conflicts_with = "database")]
    pub data: Option<PathBuf>,
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME
    #[arg(long, env = "SIDELIGHT_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
    /// Who may look: everybody, or whoever knows the token
    #[arg(long, env = "SIDELIGHT_AUTH", value_enum, default_value = "token")]
    pub auth: Auth,
    /// The token; without it, one is made and printed at the start
    #[arg(long, env = "SIDELIGHT_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Zipkin spans
    #[arg(long, env = "SIDELIGHT_ZIPKIN", default_value = "127.0.0.1:9411", value_name = "IP:PORT")]
    pub zipkin: SocketAddr,
    /// Configuration for proxies (ADS)
    #[arg(long, env = "SIDELIGHT_XDS", default_value = "127.0.0.1:15010", value_name = "IP:PORT")]
    pub xds: SocketAddr,
    /// Time between two scrapes of a proxy
    #[arg(long, env = "SIDELIGHT_SCRAPE_INTERVAL", default_value = "15s", value_parser = parse_duration)]
    pub scrape_interval: u64,
    /// Percent of the requests that proxies trace
    #[arg(long, env = "SIDELIGHT_TRACE_SAMPLING", default_value_t = 1.0, value_name = "PERCENT")]
    pub trace_sampling: f64,
    #[command(flatten)]
    pub later: LaterArgs,
}

/// Flags of the contract whose feature is not built yet: refused, not ignored.
#[derive(Clone, Debug, Args)]
pub struct LaterArgs {
    #[arg(long, env = "SIDELIGHT_OTLP_GRPC", hide = true)]
    pub otlp_grpc: Option<String>,
    #[arg(long, env = "SIDELIGHT_OTLP_HTTP", hide = true)]
    pub otlp_http: Option<String>,
    #[arg(long, env = "SIDELIGHT_SCRAPE_FILE", hide = true)]
    pub scrape_file: Option<String>,
    #[arg(long, env = "SIDELIGHT_SCRAPE_HTTP_SD", hide = true)]
    pub scrape_http_sd: Option<String>,
    #[arg(long, env = "SIDELIGHT_EXPORT_OTLP", hide = true)]
    pub export_otlp: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    None,
    Token,
}

impl LaterArgs {
    fn mistakes(&self) -> Vec<String> {
        let later = [
            ("--otlp-grpc", &self.otlp_grpc, "spans are taken at --zipkin"),
            ("--otlp-http", &self.otlp_http, "spans are taken at --zipkin"),
            ("--scrape-file", &self.scrape_file, "every proxy that is connected over ADS is scraped"),
            ("--scrape-http-sd", &self.scrape_http_sd, "every proxy that is connected over ADS is scraped"),
            ("--export-otlp", &self.export_otlp, "spans can be read through the API"),
        ];
        let given = later.into_iter().filter(|(_, value, _)| value.is_some());
        given.map(|(flag, _, instead)| format!("{flag} is not built yet; {instead}")).collect()
    }
}

pub async fn run(args: CollectorArgs, stop: CancellationToken) -> Result<(), Exit> {
    let _ = (args, stop, Duration::ZERO, SCRAPE_INTERVAL_S);
    Err(Exit::settings("not wired yet"))
}
