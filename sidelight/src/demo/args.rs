//! The demo's flags, and which of them do not go together.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::exit::Exit;

/// Gateway port where neither the flag nor an earlier start says otherwise.
pub const GATEWAY_PORT: u16 = 8080;

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Port of the dashboard
    #[arg(long, env = "SIDELIGHT_PORT", default_value_t = 20001)]
    pub port: u16,
    /// Port of the ingress gateway [default: 8080, or that of the data directory]
    #[arg(long, env = "SIDELIGHT_GATEWAY_PORT")]
    pub gateway_port: Option<u16>,
    /// Folder for telemetry, configuration and logs [default: a folder of the user's own]
    #[arg(long, env = "SIDELIGHT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Page views per second
    #[arg(long, env = "SIDELIGHT_RPS", default_value_t = 10.0, value_name = "N")]
    pub rps: f64,
    /// Send no traffic; make your own through the gateway
    #[arg(long, env = "SIDELIGHT_NO_TRAFFIC", value_parser = BoolishValueParser::new())]
    pub no_traffic: bool,
    /// Intercept traffic with iptables instead of HTTP_PROXY (not built yet)
    #[arg(long, env = "SIDELIGHT_TRANSPARENT", value_parser = BoolishValueParser::new())]
    pub transparent: bool,
    /// Add this to every port, to run a second demo beside the first
    #[arg(long, env = "SIDELIGHT_OFFSET", default_value_t = 0, value_name = "N")]
    pub offset: u16,
    /// Network of the workloads' addresses; the applications take the one after it
    #[arg(long, env = "SIDELIGHT_LOOPBACK_BASE", default_value = "127.1.0.0", hide = true)]
    pub loopback_base: Ipv4Addr,
    /// Port of the configuration server
    #[arg(long, env = "SIDELIGHT_XDS_PORT", default_value_t = 15010, hide = true)]
    pub xds_port: u16,
    /// Port for spans
    #[arg(long, env = "SIDELIGHT_ZIPKIN_PORT", default_value_t = 9411, hide = true)]
    pub zipkin_port: u16,
    /// One address for all workloads, told apart by ports: the only way where 127.0.0.1 is the whole loopback
    #[arg(
        long,
        env = "SIDELIGHT_SHARED_ADDRESS",
        value_parser = BoolishValueParser::new(),
        default_value_t = !cfg!(target_os = "linux"),
        hide = true
    )]
    pub shared_address: bool,
}

impl DemoArgs {
    /// # Errors
    /// Every mistake, each in one sentence.
    pub fn check(&self) -> Result<(), Exit> {
        let mut mistakes = Vec::new();
        if self.transparent {
            mistakes.push("--transparent is not built yet; without it, the demo's services use HTTP_PROXY".to_owned());
        }
        if !self.rps.is_finite() || !(0.1..=10_000.0).contains(&self.rps) {
            mistakes.push(format!("--rps takes 0.1 to 10000, not {}; --no-traffic sends none", self.rps));
        }
        let [first, second, ..] = self.loopback_base.octets();
        if first != 127 || second == 255 {
            mistakes.push(format!("--loopback-base must lie in 127.0.0.0 to 127.254.0.0, not {}", self.loopback_base));
        }
        let highest = [self.port, self.gateway_port.unwrap_or(GATEWAY_PORT), self.xds_port, self.zipkin_port, 17_000];
        if highest.iter().any(|port| port.checked_add(self.offset).is_none()) {
            mistakes.push(format!("--offset {} leads beyond port 65535", self.offset));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(Exit::Settings(mistakes)) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: DemoArgs,
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let flags = ["demo", "--transparent", "--rps", "0", "--loopback-base", "10.0.0.0", "--offset", "60000"];
        let Err(Exit::Settings(mistakes)) = Only::parse_from(flags).args.check() else { panic!("accepted") };
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert!(Only::parse_from(["demo"]).args.check().is_ok());
    }
}
