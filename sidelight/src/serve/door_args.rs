//! Flags of the doors for pushed telemetry: where they are, who may come in, and how much.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::BoolishValueParser;
use sidelight_collector::ingest::door::{DoorLimits, DoorSettings, SecuritySettings, TOKEN_CHARS_MIN, TlsFiles};
use sidelight_collector::web::auth::Token;

/// How much larger than a body what it unpacks to may be.
const UNPACKED: usize = 4;

#[derive(Clone, Debug, Args)]
pub struct DoorArgs {
    /// OTLP over gRPC and Envoy's access log service; `none` closes the port
    #[arg(long, env = "SIDELIGHT_OTLP_GRPC", default_value = "127.0.0.1:4317", value_name = "IP:PORT")]
    pub otlp_grpc: Port,
    /// OTLP over HTTP, lines of access logs and remote write; `none` closes the port
    #[arg(long, env = "SIDELIGHT_OTLP_HTTP", default_value = "127.0.0.1:4318", value_name = "IP:PORT")]
    pub otlp_http: Port,
    /// Certificate chain of the OTLP ports, which then speak TLS only; taken over when the file changes
    #[arg(long, env = "SIDELIGHT_DOOR_TLS_CERT", value_name = "FILE.pem")]
    pub door_tls_cert: Option<PathBuf>,
    /// Private key of that certificate
    #[arg(long, env = "SIDELIGHT_DOOR_TLS_KEY", value_name = "FILE.pem")]
    pub door_tls_key: Option<PathBuf>,
    /// Let only clients in whose certificate one of these authorities signed
    #[arg(long, env = "SIDELIGHT_DOOR_CLIENT_CA", value_name = "FILE.pem")]
    pub door_client_ca: Option<PathBuf>,
    /// Let only clients in that send `authorization: Bearer` with this token; may be repeated, and any of them opens
    #[arg(long, env = "SIDELIGHT_DOOR_TOKEN", hide_env_values = true, value_delimiter = ',', value_name = "TOKEN")]
    pub door_token: Vec<String>,
    /// Such tokens in a file, one a line; read again when it changes
    #[arg(long, env = "SIDELIGHT_DOOR_TOKEN_FILE", value_name = "FILE")]
    pub door_token_file: Option<PathBuf>,
    /// Guard --zipkin as the OTLP ports are; proxies configured by this collector send there without TLS or token
    #[arg(long, env = "SIDELIGHT_DOOR_GUARD_ZIPKIN", value_parser = BoolishValueParser::new())]
    pub door_guard_zipkin: bool,
    /// Spans, samples or log records per second that each door takes on average, Envoy's access logs left out [default: no limit]
    #[arg(long, env = "SIDELIGHT_DOOR_RATE", value_name = "N")]
    pub door_rate: Option<NonZeroU32>,
    /// Largest body of a request to the OTLP ports as it is sent; it may unpack to four times as much
    #[arg(long, env = "SIDELIGHT_DOOR_BODY_BYTES", default_value_t = DoorLimits::default().body_bytes, value_name = "BYTES")]
    pub door_body_bytes: usize,
    /// Most spans, samples or log records of one request
    #[arg(long, env = "SIDELIGHT_DOOR_ITEMS", default_value_t = DoorLimits::default().items, value_name = "N")]
    pub door_items: usize,
    /// Requests that each door reads at the same time; more are told to try again
    #[arg(long, env = "SIDELIGHT_DOOR_REQUESTS", default_value_t = DoorLimits::default().in_flight, value_name = "N")]
    pub door_requests: usize,
}

/// Where a port is, if anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub Option<SocketAddr>);

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            _ => text.parse().map(|address| Self(Some(address))).map_err(|_| "write IP:PORT or none".to_owned()),
        }
    }
}

impl DoorArgs {
    /// What is wrong is added to `mistakes`.
    pub fn settings(&self, mistakes: &mut Vec<String>) -> DoorSettings {
        if self.door_token.iter().any(|token| token.len() < TOKEN_CHARS_MIN) {
            mistakes.push(format!("--door-token is shorter than {TOKEN_CHARS_MIN} characters"));
        }
        let security = SecuritySettings {
            tls: self.tls(mistakes),
            tokens: self.door_token.iter().map(|token| Token::new(token)).collect(),
            token_file: self.door_token_file.clone(),
        };
        DoorSettings { limits: self.limits(), security, guard_zipkin: self.door_guard_zipkin }
    }

    /// Not left to clap, which asks nothing of what a file of settings says.
    fn tls(&self, mistakes: &mut Vec<String>) -> Option<TlsFiles> {
        match (&self.door_tls_cert, &self.door_tls_key) {
            (Some(cert), Some(key)) => {
                return Some(TlsFiles { cert: cert.clone(), key: key.clone(), client_ca: self.door_client_ca.clone() });
            }
            (Some(_), None) => mistakes.push("--door-tls-cert needs --door-tls-key".to_owned()),
            (None, Some(_)) => mistakes.push("--door-tls-key needs --door-tls-cert".to_owned()),
            (None, None) if self.door_client_ca.is_some() => {
                mistakes.push("--door-client-ca needs --door-tls-cert and --door-tls-key".to_owned());
            }
            (None, None) => {}
        }
        None
    }

    fn limits(&self) -> DoorLimits {
        let usual = DoorLimits::default();
        let decoded_bytes = self.door_body_bytes.saturating_mul(UNPACKED);
        DoorLimits {
            body_bytes: self.door_body_bytes,
            decoded_bytes,
            items: self.door_items,
            in_flight: self.door_requests,
            bytes_in_flight: usual.bytes_in_flight.max(decoded_bytes.saturating_add(self.door_body_bytes)),
            rate: self.door_rate,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        args: DoorArgs,
    }

    fn settings(flags: &[&str]) -> (DoorSettings, Vec<String>) {
        let args = Only::parse_from(["collector"].iter().chain(flags)).args;
        let mut mistakes = Vec::new();
        let settings = args.settings(&mut mistakes);
        settings.check(&mut mistakes);
        (settings, mistakes)
    }

    #[test]
    fn ports_are_open_on_loopback_and_can_be_closed() {
        let args = Only::parse_from(["collector", "--otlp-http=none"]).args;
        assert_eq!((args.otlp_grpc, args.otlp_http), (Port(Some("127.0.0.1:4317".parse().unwrap())), Port(None)));
        assert!(Only::try_parse_from(["collector", "--otlp-http=4318"]).is_err());
    }

    #[test]
    fn flags_become_limits_and_guards() {
        let flags = ["--door-tls-cert=c.pem", "--door-tls-key=k.pem", "--door-rate=1000", "--door-body-bytes=1048576"];
        let (settings, mistakes) = settings(&flags);
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(settings.security.tls.unwrap().cert, PathBuf::from("c.pem"));
        assert_eq!((settings.limits.body_bytes, settings.limits.decoded_bytes), (1_048_576, 4_194_304));
        assert_eq!(settings.limits.rate, NonZeroU32::new(1000));
    }

    #[test]
    fn half_a_guard_is_none() {
        let mistakes = |flag| settings(&[flag]).1;
        assert_eq!(mistakes("--door-tls-cert=c.pem"), ["--door-tls-cert needs --door-tls-key"]);
        assert_eq!(mistakes("--door-tls-key=k.pem"), ["--door-tls-key needs --door-tls-cert"]);
        assert_eq!(mistakes("--door-client-ca=ca.pem"), ["--door-client-ca needs --door-tls-cert and --door-tls-key"]);
    }

    #[test]
    fn mistakes_are_told_without_the_token() {
        let (_, mistakes) = settings(&["--door-token=short", "--door-items=0", "--door-requests=0", "--door-body-bytes=1"]);
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert_eq!(mistakes[0], "--door-token is shorter than 16 characters");
        assert!(!mistakes.concat().contains("short,"));
    }
}
