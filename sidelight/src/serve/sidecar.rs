//! `sidelight sidecar`: reads Envoy's bootstrap and runs the proxy until told to stop.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use sidelight_sidecar::{AccessLogSink, Bootstrap, CONCURRENCY, Sidecar, SidecarOptions};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

#[derive(Clone, Debug, Args)]
pub struct SidecarArgs {
    /// Envoy bootstrap, YAML or JSON
    #[arg(short, long, env = "SIDELIGHT_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Threads that serve traffic [default: 2, as in Istio]
    #[arg(long, env = "SIDELIGHT_CONCURRENCY", value_name = "N")]
    pub concurrency: Option<NonZeroUsize>,
    /// Write access logs to this file, to stdout (-) or nowhere (none), instead of where the listeners say
    #[arg(long, env = "SIDELIGHT_ACCESS_LOG", value_name = "FILE")]
    pub access_log: Option<String>,
}

impl SidecarArgs {
    pub(crate) fn threads(&self) -> usize {
        self.concurrency.map_or(CONCURRENCY, NonZeroUsize::get)
    }

    fn options(&self) -> SidecarOptions {
        let sink = |word: &String| match word.as_str() {
            "-" => AccessLogSink::Stdout,
            "none" => AccessLogSink::Discard,
            path => AccessLogSink::File(path.into()),
        };
        SidecarOptions {
            concurrency: self.threads(),
            access_log: self.access_log.as_ref().map(sink),
            ..SidecarOptions::default()
        }
    }
}

/// Ends after the requests in flight have.
pub async fn run(args: SidecarArgs, stop: CancellationToken) -> Result<(), Exit> {
    let file = args.config.display();
    let text = std::fs::read_to_string(&args.config).map_err(|error| Exit::settings(format!("cannot read `{file}`: {error}")))?;
    let bootstrap = Bootstrap::from_yaml(&text).map_err(|error| Exit::settings(format!("`{file}`: {error}")))?;
    let sidecar = Sidecar::start_with(bootstrap, args.options()).await?;
    tokio::select! {
        () = stop.cancelled() => {}
        () = sidecar.quit_requested() => {}
    }
    sidecar.shutdown().await;
    Ok(())
}
