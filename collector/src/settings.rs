//! What a collector has to be told, and everything that can be wrong with it, said at once.

mod rules;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::export::ExportSettings;
use crate::ingest::door::DoorSettings;
use crate::ingest::scrape;
use crate::ingest::scrape::config::{ScrapeConfigError, is_url};
use crate::pipeline::tail_sampling::{self, RulesError};
use crate::store::{ArchiveLimits, CONNECTIONS_DEFAULT, CONNECTIONS_MAX, CONNECTIONS_MIN, Family, Retention};
use crate::web::auth::Token;
pub use rules::RuleSettings;

/// Shortest time between two scrapes of a target: each is a transaction.
pub const SCRAPE_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Longest; beyond it the graph is history.
pub const SCRAPE_INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// Port 0 takes any that is free.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Dashboard and APIs.
    pub listen: SocketAddr,
    /// Zipkin's door.
    pub zipkin: SocketAddr,
    /// ADS.
    pub xds: SocketAddr,
    /// OTLP over gRPC, and Envoy's access log service; closed without it.
    pub otlp_grpc: Option<SocketAddr>,
    /// OTLP over HTTP; closed without it.
    pub otlp_http: Option<SocketAddr>,
    /// Jaeger's query API on a port of its own, JSON and gRPC alike; closed without it.
    pub jaeger_query: Option<SocketAddr>,
    /// The same on the port where Jaeger has gRPC; closed without it.
    pub jaeger_grpc: Option<SocketAddr>,
    /// How many traces are kept beyond the retention.
    pub archive: ArchiveLimits,
    /// Limits and guards of the doors.
    pub doors: DoorSettings,
    pub database: Database,
    /// Connections to Postgres at most.
    pub database_pool: u32,
    pub auth: AuthSettings,
    /// Names besides addresses and `localhost` under which the dashboard may be called where nobody logs in.
    pub hosts: Vec<String>,
    /// `host:port` at which proxies reach Zipkin's door; the door's own address without it.
    pub zipkin_advertise: Option<String>,
    pub scrape_interval: Duration,
    /// Where the samples of scrapes are sent on, by Prometheus' remote write; nowhere without it.
    pub remote_write: Option<ForwardUrl>,
    /// Targets beside the registered proxies.
    pub scrape_urls: Vec<String>,
    /// Further targets in a file, in the format of Prometheus' file-based discovery; it is looked at again and again.
    pub scrape_file: Option<PathBuf>,
    /// Jobs in the format of a `prometheus.yml`.
    pub scrape_config: Option<PathBuf>,
    /// The API of Prometheus on a port of its own; only on the dashboard's without it.
    pub prometheus_api: Option<SocketAddr>,
    /// Recording and alerting rules, and who is told of alerts.
    pub rules: RuleSettings,
    /// A server that tells targets, in the format of Prometheus' HTTP discovery.
    pub scrape_http_sd: Option<String>,
    pub trace_sampling_percent: f64,
    /// Rules by which whole traces are kept or left out; all are kept without it.
    pub tail_sampling: Option<PathBuf>,
    pub retention: Retention,
    /// The collector counts its own requests and scrapes itself, as one more workload.
    pub watch_itself: bool,
    /// Backends that spans are sent on to.
    pub export: ExportSettings,
}

/// Where everything is kept.
#[derive(Clone)]
pub enum Database {
    Sqlite(PathBuf),
    /// A URL, which may hold a password.
    Postgres(String),
}

#[derive(Clone, Debug)]
pub enum AuthSettings {
    /// Everybody may do everything.
    None,
    /// Whoever knows the token may.
    Token(Token),
    /// The token in this folder, made on first use.
    TokenIn(PathBuf),
}

/// Where samples are sent on to. Shown without what may be a secret: a name and password, and the query.
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardUrl(pub String);

impl std::fmt::Display for ForwardUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ok(uri) = self.0.parse::<http::Uri>() else { return f.write_str("…") };
        let scheme = uri.scheme_str().unwrap_or("http");
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{scheme}://{}{port}{}", uri.host().unwrap_or("…"), uri.path())
    }
}

impl std::fmt::Debug for ForwardUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// All mistakes of the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsMistakes(pub Vec<String>);

impl Database {
    /// Reads `sqlite:PATH` or `postgres://…`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)) {
            Some("") => Err("`sqlite:` needs the path of a file behind it".to_owned()),
            Some(path) => Ok(Self::Sqlite(path.into())),
            // Without the text itself: it may hold a password.
            None => Err("a database is sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME".to_owned()),
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

impl Settings {
    /// The standard ports on loopback, no login, OTLP closed, everything else as by default.
    #[must_use]
    pub fn new(database: Database) -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            listen: local(20001),
            zipkin: local(9411),
            xds: local(15010),
            otlp_grpc: None,
            otlp_http: None,
            jaeger_query: None,
            jaeger_grpc: None,
            archive: ArchiveLimits::default(),
            doors: DoorSettings::default(),
            database,
            database_pool: CONNECTIONS_DEFAULT,
            auth: AuthSettings::None,
            hosts: Vec::new(),
            zipkin_advertise: None,
            scrape_interval: Duration::from_secs(15),
            remote_write: None,
            scrape_urls: Vec::new(),
            scrape_file: None,
            scrape_config: None,
            prometheus_api: None,
            rules: RuleSettings::default(),
            scrape_http_sd: None,
            trace_sampling_percent: 1.0,
            tail_sampling: None,
            retention: Retention::default(),
            watch_itself: false,
            export: ExportSettings::default(),
        }
    }

    /// Everything that is wrong, before any port is opened.
    pub fn validate(&self) -> Result<(), SettingsMistakes> {
        let mut mistakes = Vec::new();
        self.check_addresses(&mut mistakes);
        self.doors.check(&mut mistakes);
        self.check_scraping(&mut mistakes);
        self.check_discoveries(&mut mistakes);
        self.rules.check(&mut mistakes);
        self.check_retention(&mut mistakes);
        self.export.check(&mut mistakes);
        if !(0.0..=100.0).contains(&self.trace_sampling_percent) {
            mistakes.push(format!("the trace sampling is {} percent; it lies between 0 and 100", self.trace_sampling_percent));
        }
        match self.tail_sampling.as_deref().map(tail_sampling::read) {
            None | Some(Ok(_)) => {}
            Some(Err(RulesError::Mistakes(found))) => mistakes.extend(found),
            Some(Err(other)) => mistakes.push(other.to_string()),
        }
        if !(CONNECTIONS_MIN..=CONNECTIONS_MAX).contains(&self.database_pool) {
            let pool = self.database_pool;
            mistakes.push(format!("a pool of {pool} connections; it has {CONNECTIONS_MIN} to {CONNECTIONS_MAX}"));
        }
        if let Database::Sqlite(path) = &self.database
            && (path.as_os_str().is_empty() || path.is_dir())
        {
            mistakes.push(format!("the database `{}` is not the path of a file", path.display()));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(SettingsMistakes(mistakes)) }
    }

    fn check_addresses(&self, mistakes: &mut Vec<String>) {
        let mut doors = vec![("dashboard", self.listen), ("Zipkin's door", self.zipkin), ("ADS", self.xds)];
        doors.extend(self.otlp_grpc.map(|address| ("OTLP over gRPC", address)));
        doors.extend(self.otlp_http.map(|address| ("OTLP over HTTP", address)));
        doors.extend(self.prometheus_api.map(|address| ("the API of Prometheus", address)));
        doors.extend(self.jaeger_query.map(|address| ("Jaeger's query API", address)));
        doors.extend(self.jaeger_grpc.map(|address| ("Jaeger's query API over gRPC", address)));
        for (index, (name, address)) in doors.iter().enumerate() {
            for (other, taken) in &doors[..index] {
                if address == taken && address.port() != 0 {
                    mistakes.push(format!("{other} and {name} both want {address}"));
                }
            }
        }
        if let Some(advertised) = &self.zipkin_advertise
            && !advertised.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            mistakes.push(format!("`{advertised}` is not HOST:PORT, at which proxies reach Zipkin's door"));
        }
    }

    fn check_scraping(&self, mistakes: &mut Vec<String>) {
        if !(SCRAPE_INTERVAL_MIN..=SCRAPE_INTERVAL_MAX).contains(&self.scrape_interval) {
            mistakes.push(format!(
                "the scrape interval is {:?}; it lies between {SCRAPE_INTERVAL_MIN:?} and {SCRAPE_INTERVAL_MAX:?}",
                self.scrape_interval
            ));
        }
        for url in &self.scrape_urls {
            if !is_url(url) {
                mistakes.push(format!("`{url}` is not a URL to scrape, such as http://127.0.0.1:15090/stats/prometheus"));
            }
        }
    }

    fn check_discoveries(&self, mistakes: &mut Vec<String>) {
        if let Some(url) = &self.remote_write {
            check_url(url, "send samples on to, such as http://127.0.0.1:9090/api/v1/write", mistakes);
        }
        if let Some(url) = &self.scrape_http_sd {
            check_url(&ForwardUrl(url.clone()), "ask for targets, such as http://127.0.0.1:8080/targets", mistakes);
        }
        match self.scrape_config.as_deref().map(scrape::config::read) {
            None | Some(Ok(_)) => {}
            Some(Err(ScrapeConfigError::Mistakes(found))) => mistakes.extend(found),
            Some(Err(other)) => mistakes.push(other.to_string()),
        }
    }

    /// A family that is dropped before a coarser one has taken over would leave a hole.
    fn check_retention(&self, mistakes: &mut Vec<String>) {
        let names = ["10-second", "minute", "hour"];
        for (pair, names) in Family::ROLLUPS.windows(2).zip(names.windows(2)) {
            if self.retention.of(pair[0]) > self.retention.of(pair[1]) {
                mistakes.push(format!(
                    "{} rollups are kept longer than {} rollups; a coarser one must last as long",
                    names[0], names[1]
                ));
            }
        }
        let shortest = Duration::from_secs(600);
        // Verdicts are kept as long as spans.
        for family in Family::ALL.into_iter().filter(|family| *family != Family::VerdictBlock) {
            if self.retention.of(family) < shortest {
                mistakes.push(format!(
                    "`{}` is kept for {:?}; ten minutes are the least",
                    family.name(),
                    self.retention.of(family)
                ));
            }
        }
    }
}

fn check_url(url: &ForwardUrl, purpose: &str, mistakes: &mut Vec<String>) {
    let has_login = url.0.parse::<http::Uri>().is_ok_and(|uri| uri.authority().is_some_and(|at| at.as_str().contains('@')));
    if !is_url(&url.0) {
        mistakes.push(format!("`{url}` is not a URL to {purpose}"));
    } else if has_login {
        mistakes.push(format!("`{url}` was given with a name or password, which are not sent; leave them out"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut settings = Settings::new(Database::Sqlite(PathBuf::new()));
        settings.zipkin = settings.listen;
        settings.scrape_interval = Duration::ZERO;
        settings.scrape_urls = vec!["ftp://x".to_owned()];
        settings.trace_sampling_percent = f64::NAN;
        settings.retention.minutes = Duration::from_secs(1);
        settings.zipkin_advertise = Some("nowhere".to_owned());
        let SettingsMistakes(mistakes) = settings.validate().unwrap_err();
        assert_eq!(mistakes.len(), 8, "{mistakes:#?}");
        assert_eq!(mistakes[0], "dashboard and Zipkin's door both want 127.0.0.1:20001");
    }

    #[test]
    fn the_defaults_are_good() {
        assert_eq!(Settings::new(Database::Sqlite("x.db".into())).validate(), Ok(()));
    }

    #[test]
    fn databases_are_read_and_passwords_not_shown() {
        assert_eq!(format!("{:?}", Database::parse("sqlite:/a/b.db").unwrap()), "sqlite:/a/b.db");
        assert_eq!(format!("{:?}", Database::parse("sqlite:///a/b.db").unwrap()), "sqlite:/a/b.db");
        assert_eq!(format!("{:?}", Database::parse("postgres://u:secret@h/n").unwrap()), "postgres://…");
        assert!(Database::parse("mysql://u:secret@h").is_err_and(|error| !error.contains("secret")));
        assert!(Database::parse("sqlite:").is_err());
        let url = ForwardUrl("https://u:secret@h:9090/api/v1/write?token=secret".to_owned());
        assert_eq!(format!("{url} {url:?}"), "https://h:9090/api/v1/write https://h:9090/api/v1/write");
        let settings = Settings { remote_write: Some(url), ..Settings::new(Database::Sqlite("x.db".into())) };
        let mistakes = settings.validate().unwrap_err().to_string();
        assert!(mistakes.contains("are not sent") && !mistakes.contains("secret"), "{mistakes}");
    }
}
