//! The sample application as a program of its own: `bookinfo productpage --listen …`.

use clap::Parser;
use tokio_util::sync::CancellationToken;

/// The sample application: one service per process, and a load client.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    app: bookinfo::cli::App,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_on_ctrl_c(shutdown.clone()));
    bookinfo::cli::run(Cli::parse().app, shutdown).await
}

async fn stop_on_ctrl_c(shutdown: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        shutdown.cancel();
    }
}
