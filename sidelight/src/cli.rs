//! Every command, flag and environment variable, and what `--help` says about them.

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sidelight_collector::duration;

pub use crate::demo::args::DemoArgs;
pub use crate::logging::LogArgs;
pub use crate::serve::collector::CollectorArgs;
pub use crate::serve::sidecar::SidecarArgs;
pub use crate::verbs::db::DbArgs;

const AFTER_HELP: &str = "\
Start with:  sidelight demo

Exit codes:  0 done · 1 failed, or the configuration has errors · 2 wrong usage · 64 settings that cannot work
Environment: settings are also read from SIDELIGHT_<FLAG>, as each --help says; OTEL_EXPORTER_OTLP_ENDPOINT exports Sidelight's own traces";

/// Sees a service mesh through its sidecars, and steers it
#[derive(Debug, Parser)]
#[command(name = "sidelight", version, propagate_version = true, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub logging: LogArgs,
    /// End when stdin closes: how the demo makes sure that none of its processes outlives it
    #[arg(long, global = true, hide = true)]
    pub lifeline: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start Bookinfo with sidecars, gateway, traffic, collector and dashboard on this machine
    Demo(DemoArgs),
    /// Start the collector: telemetry, configuration, dashboard
    Collector(Box<CollectorArgs>),
    /// Start a sidecar from an Envoy bootstrap file
    Sidecar(SidecarArgs),
    /// One service of the sample application, or its load client
    #[command(hide = true)]
    App {
        #[command(subcommand)]
        app: bookinfo::cli::App,
    },
    /// Save configuration objects from files; all of them or none
    Apply(ApplyArgs),
    /// List configuration objects, or show one
    Get(GetArgs),
    /// Delete a configuration object; its history stays
    Delete(DeleteArgs),
    /// Show the revisions of a configuration object, newest first
    History(HistoryArgs),
    /// Compare files with what is saved; ends with 1 when they differ
    Diff(DiffArgs),
    /// Save an older revision of a configuration object again
    Rollback(RollbackArgs),
    /// Check configuration files, alone or against a running mesh
    Validate(ValidateArgs),
    /// Print the service graph
    Graph(GraphArgs),
    /// List proxies and whether they run the newest configuration
    Proxies(ProxiesArgs),
    /// Check, measure, back up, restore and copy a collector's database
    Db(DbArgs),
    /// Print a completion script: `source <(sidelight completion bash)`
    Completion { shell: Shell },
}

/// Where the collector is.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Collector to talk to
    #[arg(long, env = "SIDELIGHT_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    pub server: String,
    /// Token to log in with
    #[arg(long, env = "SIDELIGHT_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

pub const DEFAULT_SERVER: &str = "http://127.0.0.1:20001";

/// Texts to read.
#[derive(Clone, Debug, Args)]
pub struct FileArgs {
    /// YAML file, folder with YAML files, or - for stdin; may be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Namespace of objects that name none
    #[arg(short, long, env = "SIDELIGHT_NAMESPACE")]
    pub namespace: Option<String>,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// Why; kept in the history
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub message: String,
    /// Check, and say what would happen; save nothing
    #[arg(long, env = "SIDELIGHT_DRY_RUN", value_parser = clap::builder::BoolishValueParser::new())]
    pub dry_run: bool,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// VirtualService (vs), DestinationRule (dr), Gateway (gw), Service (svc); without it, all
    pub kind: Option<String>,
    pub name: Option<String>,
    /// Only this namespace
    #[arg(short, long, env = "SIDELIGHT_NAMESPACE")]
    pub namespace: Option<String>,
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// One object.
#[derive(Debug, Args)]
pub struct ObjectArgs {
    /// VirtualService (vs), DestinationRule (dr), Gateway (gw), Service (svc)
    pub kind: String,
    pub name: String,
    /// Needed only when several namespaces have an object of this name
    #[arg(short, long, env = "SIDELIGHT_NAMESPACE")]
    pub namespace: Option<String>,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub object: ObjectArgs,
    /// Why; kept in the history
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub message: String,
    /// Refuse when the newest revision is another one: somebody else was there in between
    #[arg(long, value_name = "REVISION")]
    pub base_revision: Option<u64>,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub object: ObjectArgs,
    /// `yaml` prints the texts, each under a comment that names its revision
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
    /// Only this revision
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<u64>,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    pub object: ObjectArgs,
    /// Revision whose text is saved again
    #[arg(long, value_name = "REVISION")]
    pub to: u64,
    /// Why; kept in the history
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub message: String,
    /// Refuse when the newest revision is another one: somebody else was there in between
    #[arg(long, value_name = "REVISION")]
    pub base_revision: Option<u64>,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// Check against the objects and workloads of this collector too; without it the files stand alone
    #[arg(long, env = "SIDELIGHT_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// Token to log in with
    #[arg(long, env = "SIDELIGHT_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Only these namespaces; may be repeated or separated by commas
    #[arg(short, long, env = "SIDELIGHT_NAMESPACE", value_delimiter = ',')]
    pub namespace: Vec<String>,
    /// What a node stands for
    #[arg(long = "type", value_enum, default_value = "versioned-app")]
    pub graph_type: GraphKind,
    /// Window that ends now: 60s, 10m, 1h
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub duration: u64,
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: GraphOutput,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct ProxiesArgs {
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: TableOrJson,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Yaml,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableOrJson {
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphOutput {
    Text,
    Dot,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphKind {
    #[value(alias = "versionedApp")]
    VersionedApp,
    App,
    Workload,
    Service,
}

impl Command {
    /// Threads of the runtime; `None` is the current one alone.
    pub(crate) fn threads(&self) -> Option<usize> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match self {
            Self::Collector(_) => Some(cores),
            Self::Sidecar(args) => Some(args.threads()),
            _ => None,
        }
    }

    /// The name of the service in traces of its own.
    pub(crate) fn service(&self) -> &'static str {
        match self {
            Self::Collector(_) => sidelight_collector::own_requests::WORKLOAD,
            Self::Sidecar(_) => "sidelight-sidecar",
            _ => "sidelight",
        }
    }

    /// Services say what they do; client verbs speak up only when something is odd.
    pub(crate) fn log_default(&self) -> &'static str {
        match self {
            Self::Collector(_) | Self::Sidecar(_) | Self::App { .. } => "info",
            _ => "warn",
        }
    }
}

/// Seconds, from `90`, `90s`, `10m`, `1h30m` or `1d`.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().or_else(|| duration::parse(text).map(|duration| duration.as_secs()));
    let seconds = seconds.filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| format!("`{text}` is not a duration; write 60s, 10m or 1h"))
}

/// Writes the script for `shell` to stdout.
pub fn print_completion(shell: Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "sidelight", &mut std::io::stdout());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(parse_duration("60s"), Ok(60));
        assert_eq!(parse_duration("10m"), Ok(600));
        assert_eq!(parse_duration("90"), Ok(90));
        assert!(parse_duration("0s").is_err() && parse_duration("1x").is_err() && parse_duration("m").is_err());
        assert!(parse_duration("99999999999999999999h").is_err());
    }
}
