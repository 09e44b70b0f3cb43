//! `sidelight collector`: settings from flags and environment, all mistakes told at once, then the collector until told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use sidelight_collector::settings::{AuthSettings, Database, ForwardUrl, Settings, SettingsMistakes};
use sidelight_collector::store::{ArchiveLimits, CONNECTIONS_DEFAULT, Retention};
use sidelight_collector::web::auth::{TOKEN_FILE, Token};
use sidelight_collector::{Collector, StartError};
use tokio_util::sync::CancellationToken;

use super::door_args::{DoorArgs, Port};
use super::export::ExportArgs;
use super::folder::user_folder;
use super::rule_args::RuleArgs;
use crate::exit::Exit;
use crate::output::print;

/// The database in `--data`.
pub const DATABASE_FILE: &str = "sidelight.db";
/// A shorter token can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

#[derive(Clone, Debug, Args)]
pub struct CollectorArgs {
    /// File with settings, named as the flags are; flags and environment overrule it
    #[arg(long, env = "SIDELIGHT_CONFIG", value_name = "FILE.yaml")]
    pub config: Option<PathBuf>,
    /// Print every setting with its default, as a file for --config, and stop
    #[arg(long)]
    pub print_config: bool,
    /// Dashboard and APIs
    #[arg(long, env = "SIDELIGHT_LISTEN", default_value = "127.0.0.1:20001", value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// Folder for an SQLite database and the login's token [default: a folder of the user's own]
    #[arg(long, env = "SIDELIGHT_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME, instead of the one in the folder
    #[arg(long, env = "SIDELIGHT_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
    /// Connections to Postgres at most
    #[arg(long, env = "SIDELIGHT_DATABASE_POOL", default_value_t = CONNECTIONS_DEFAULT, value_name = "COUNT")]
    pub database_pool: u32,
    /// Who may look: everybody, or whoever knows the token
    #[arg(long, env = "SIDELIGHT_AUTH", value_enum, default_value = "token")]
    pub auth: Auth,
    /// The token; without it, one is made and kept in the data folder
    #[arg(long, env = "SIDELIGHT_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Further name under which browsers may call a dashboard without a login; may be repeated
    #[arg(long = "host", env = "SIDELIGHT_HOST", value_delimiter = ',', value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Zipkin spans
    #[arg(long, env = "SIDELIGHT_ZIPKIN", default_value = "127.0.0.1:9411", value_name = "IP:PORT")]
    pub zipkin: SocketAddr,
    /// Where proxies find --zipkin, if it is not that address
    #[arg(long, env = "SIDELIGHT_ZIPKIN_ADVERTISE", value_name = "HOST:PORT")]
    pub zipkin_advertise: Option<String>,
    /// Jaeger's query API on a port of its own, JSON and gRPC, such as 127.0.0.1:16686; it is at /jaeger on --listen as well
    #[arg(long, env = "SIDELIGHT_JAEGER_QUERY", default_value = "none", value_name = "IP:PORT")]
    pub jaeger_query: Port,
    /// The same on a second port, where Jaeger's clients look for gRPC, such as 127.0.0.1:16685
    #[arg(long, env = "SIDELIGHT_JAEGER_GRPC", default_value = "none", value_name = "IP:PORT")]
    pub jaeger_grpc: Port,
    /// Traces that may be archived, which keeps them for good
    #[arg(long, env = "SIDELIGHT_ARCHIVE_TRACES", default_value_t = ArchiveLimits::default().traces, value_name = "COUNT")]
    pub archive_traces: u64,
    /// Bytes that archived traces may take: 500MB, 20GB
    #[arg(long, env = "SIDELIGHT_ARCHIVE_SIZE", default_value = "1GB", value_parser = parse_size, value_name = "SIZE")]
    pub archive_size: u64,
    /// Configuration for proxies (ADS)
    #[arg(long, env = "SIDELIGHT_XDS", default_value = "127.0.0.1:15010", value_name = "IP:PORT")]
    pub xds: SocketAddr,
    /// Time between two scrapes of a proxy: 15s, 500ms, 1m
    #[arg(long, env = "SIDELIGHT_SCRAPE_INTERVAL", default_value = "15s", value_parser = parse_interval, value_name = "TIME")]
    pub scrape_interval: Duration,
    /// Further targets, in the format of Prometheus' file_sd; read again when it changes
    #[arg(long, env = "SIDELIGHT_SCRAPE_FILE", value_name = "SD.json")]
    pub scrape_file: Option<PathBuf>,
    /// Jobs to scrape: the `scrape_configs` of a prometheus.yml
    #[arg(long, env = "SIDELIGHT_SCRAPE_CONFIG", value_name = "prometheus.yml")]
    pub scrape_config: Option<PathBuf>,
    /// Server that tells further targets, in the format of Prometheus' http_sd; asked every minute
    #[arg(long, env = "SIDELIGHT_SCRAPE_HTTP_SD", hide_env_values = true, value_name = "URL")]
    pub scrape_http_sd: Option<String>,
    /// Where the samples of scrapes are sent on, by Prometheus' remote write
    #[arg(long, env = "SIDELIGHT_REMOTE_WRITE", hide_env_values = true, value_name = "URL")]
    pub remote_write: Option<String>,
    /// The API of Prometheus on a port of its own, such as 127.0.0.1:9090; it is at /prometheus on --listen anyway
    #[arg(long, env = "SIDELIGHT_PROMETHEUS_API", value_name = "IP:PORT")]
    pub prometheus_api: Option<SocketAddr>,
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Percent of the requests that proxies trace
    #[arg(long, env = "SIDELIGHT_TRACE_SAMPLING", default_value_t = 1.0, value_name = "PERCENT")]
    pub trace_sampling: f64,
    /// Rules by which whole traces are kept or left out when they have ended; read again when they change
    #[arg(long, env = "SIDELIGHT_TAIL_SAMPLING", value_name = "RULES.yaml")]
    pub tail_sampling: Option<PathBuf>,
    /// How long spans are kept: 12h, 7d
    #[arg(long, env = "SIDELIGHT_KEEP_SPANS", default_value = "7d", value_parser = parse_interval, value_name = "TIME")]
    pub keep_spans: Duration,
    /// How long log records are kept: 12h, 7d
    #[arg(long, env = "SIDELIGHT_KEEP_LOGS", default_value = "7d", value_parser = parse_interval, value_name = "TIME")]
    pub keep_logs: Duration,
    /// How long samples are kept: 12h, 15d
    #[arg(long, env = "SIDELIGHT_KEEP_SAMPLES", default_value = "15d", value_parser = parse_interval, value_name = "TIME")]
    pub keep_samples: Duration,
    /// Most bytes of spans, the oldest go first: 500MB, 20GB [default: no limit]
    #[arg(long, env = "SIDELIGHT_MAX_SIZE_SPANS", value_parser = parse_size, value_name = "SIZE")]
    pub max_size_spans: Option<u64>,
    /// Most bytes of log records, the oldest go first [default: no limit]
    #[arg(long, env = "SIDELIGHT_MAX_SIZE_LOGS", value_parser = parse_size, value_name = "SIZE")]
    pub max_size_logs: Option<u64>,
    /// Most bytes of samples, the oldest go first [default: no limit]
    #[arg(long, env = "SIDELIGHT_MAX_SIZE_SAMPLES", value_parser = parse_size, value_name = "SIZE")]
    pub max_size_samples: Option<u64>,
    /// Count the collector's own requests and show it as one more workload
    #[arg(long, env = "SIDELIGHT_WATCH_ITSELF", default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    pub watch_itself: bool,
    #[command(flatten)]
    pub doors: DoorArgs,
    #[command(flatten)]
    pub export: ExportArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    None,
    Token,
}

/// Serves until `stop`, then scrapes a last time and closes the database.
pub async fn run(args: CollectorArgs, stop: CancellationToken) -> Result<(), Exit> {
    if args.print_config {
        return Ok(print(&super::config_file::sample())?);
    }
    let settings = args.settings(|name| std::env::var_os(name).map(PathBuf::from))?;
    let token_in = match &settings.auth {
        AuthSettings::TokenIn(folder) => Some(folder.join(TOKEN_FILE)),
        AuthSettings::Token(_) | AuthSettings::None => None,
    };
    let collector = Collector::start(settings).await.map_err(start_failed)?;
    print(&announcement(collector.addresses().dashboard, token_in.as_deref()))?;
    stop.cancelled().await;
    collector.shutdown().await;
    Ok(())
}

/// Also where the token is, but never the token: output ends in logs.
fn announcement(dashboard: SocketAddr, token_in: Option<&Path>) -> String {
    let mut text = format!("dashboard: http://{dashboard}\n");
    if let Some(path) = token_in {
        text.push_str(&format!("log in with the token in {}\n", path.display()));
    }
    text
}

fn start_failed(error: StartError) -> Exit {
    match error {
        StartError::Settings(SettingsMistakes(mistakes)) => Exit::Settings(mistakes),
        other => Exit::Failed(other.into()),
    }
}

impl CollectorArgs {
    /// Everything that is wrong is told together; nothing is opened, but the folder is made.
    fn settings(&self, env: impl Fn(&str) -> Option<PathBuf>) -> Result<Settings, Exit> {
        let mut mistakes = Vec::new();
        let folder = self.folder(env).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            PathBuf::new()
        });
        let database = self.database(&folder).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Database::Sqlite(folder.join(DATABASE_FILE))
        });
        let auth = self.auth_settings(&folder).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            AuthSettings::None
        });
        let doors = self.doors.settings(&mut mistakes);
        let export = self.export.settings(&mut mistakes);
        let settings = Settings {
            export,
            watch_itself: self.watch_itself,
            listen: self.listen,
            zipkin: self.zipkin,
            xds: self.xds,
            otlp_grpc: self.doors.otlp_grpc.0,
            otlp_http: self.doors.otlp_http.0,
            jaeger_query: self.jaeger_query.0,
            jaeger_grpc: self.jaeger_grpc.0,
            archive: ArchiveLimits { traces: self.archive_traces, bytes: self.archive_size },
            doors,
            auth,
            database_pool: self.database_pool,
            hosts: self.hosts.clone(),
            zipkin_advertise: self.zipkin_advertise.clone(),
            scrape_interval: self.scrape_interval,
            scrape_file: self.scrape_file.clone(),
            scrape_config: self.scrape_config.clone(),
            scrape_http_sd: self.scrape_http_sd.clone(),
            prometheus_api: self.prometheus_api,
            rules: self.rules.settings(),
            remote_write: self.remote_write.clone().map(ForwardUrl),
            trace_sampling_percent: self.trace_sampling,
            tail_sampling: self.tail_sampling.clone(),
            retention: self.retention(),
            ..Settings::new(database)
        };
        if let Err(SettingsMistakes(more)) = settings.validate() {
            mistakes.extend(more);
        }
        if mistakes.is_empty() { Ok(settings) } else { Err(Exit::Settings(mistakes)) }
    }

    fn retention(&self) -> Retention {
        Retention {
            spans: self.keep_spans,
            logs: self.keep_logs,
            samples: self.keep_samples,
            spans_bytes: self.max_size_spans,
            logs_bytes: self.max_size_logs,
            samples_bytes: self.max_size_samples,
            ..Retention::default()
        }
    }

    fn folder(&self, env: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, String> {
        let folder = match &self.data {
            Some(folder) => folder.clone(),
            None => user_folder("collector", env).ok_or("there is no HOME to keep the data in; name a folder with --data")?,
        };
        let needed = self.database.is_none() || (self.auth == Auth::Token && self.token.is_none());
        if needed {
            std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make --data `{}`: {error}", folder.display()))?;
        }
        Ok(folder)
    }

    fn database(&self, folder: &Path) -> Result<Database, String> {
        match &self.database {
            Some(url) => Database::parse(url).map_err(|error| format!("--database: {error}")),
            None => Ok(Database::Sqlite(folder.join(DATABASE_FILE))),
        }
    }

    fn auth_settings(&self, folder: &Path) -> Result<AuthSettings, String> {
        match (self.auth, &self.token) {
            (Auth::None, _) => Ok(AuthSettings::None),
            (Auth::Token, None) => Ok(AuthSettings::TokenIn(folder.to_owned())),
            (Auth::Token, Some(token)) if token.len() < TOKEN_BYTES_MIN => {
                Err(format!("--token is shorter than {TOKEN_BYTES_MIN} characters"))
            }
            (Auth::Token, Some(token)) => Ok(AuthSettings::Token(Token::new(token))),
        }
    }
}

/// `500MB`, `20GB`, or bytes without a unit.
fn parse_size(text: &str) -> Result<u64, String> {
    let units = [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("", 1)];
    let bytes = units.iter().find_map(|(unit, factor)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(*factor)
    });
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| format!("`{text}` is no size, such as 500MB or 20GB"))
}

pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    match text.strip_suffix("ms").map(str::parse) {
        Some(Ok(milliseconds)) => Ok(Duration::from_millis(milliseconds)),
        _ => crate::cli::parse_duration(text).map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: CollectorArgs,
    }

    fn settings(flags: &[&str]) -> Result<Settings, Exit> {
        let flags = ["collector"].iter().chain(flags);
        Only::parse_from(flags).args.settings(|_| None)
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let flags = ["--export-otlp=127.0.0.1:4317", "--database=mysql:x", "--auth=none", "--trace-sampling=200"];
        let Err(Exit::Settings(mistakes)) = settings(&flags) else { panic!("accepted") };
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert_eq!(mistakes[0], "there is no HOME to keep the data in; name a folder with --data");
        assert_eq!(mistakes[2], "--export-otlp: `127.0.0.1:4317` is not a URL to export to, such as http://127.0.0.1:4317");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("500MB"), Ok(500_000_000));
        assert_eq!(parse_size("2 TB"), Ok(2_000_000_000_000));
        assert_eq!(parse_size("1024"), Ok(1024));
        for bad in ["", "0", "MB", "1.5GB", "-1", "18446744073709551615GB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_become_settings() {
        let folder = std::env::temp_dir();
        let data = format!("--data={}", folder.display());
        let Ok(settings) = settings(&[&data, "--scrape-interval=500ms", "--listen=127.0.0.1:1"]) else { panic!("refused") };
        assert_eq!(settings.scrape_interval, Duration::from_millis(500));
        assert_eq!(settings.listen.port(), 1);
        assert!(matches!(settings.auth, AuthSettings::TokenIn(path) if path == folder));
        assert_eq!(format!("{:?}", settings.database), format!("sqlite:{}", folder.join("sidelight.db").display()));
    }
}
