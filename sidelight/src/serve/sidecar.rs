//! `sidelight sidecar`: reads Envoy's bootstrap and runs the proxy until told to stop.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

#[derive(Clone, Debug, Args)]
pub struct SidecarArgs {
    /// Envoy bootstrap, YAML or JSON
    #[arg(short, long, env = "SIDELIGHT_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Threads that serve traffic [default: one per core]
    #[arg(long, env = "SIDELIGHT_CONCURRENCY", value_name = "N")]
    pub concurrency: Option<NonZeroUsize>,
}

pub async fn run(args: SidecarArgs, stop: CancellationToken) -> Result<(), Exit> {
    let _ = (args, stop);
    Err(Exit::settings("not wired yet"))
}
