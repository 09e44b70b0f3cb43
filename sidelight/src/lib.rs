//! The one command as a library, so that tests can start what it starts.

pub mod cli;
pub mod client;
pub mod demo;
pub mod exit;
pub mod logging;
pub mod output;
pub mod serve;
pub mod verbs;

use std::process::ExitCode;

use anyhow::Context as _;

use cli::{Cli, Command};
use exit::Exit;

/// Runs one command to its end.
pub fn run(cli: Cli) -> ExitCode {
    exit::code(dispatch(cli))
}

fn dispatch(cli: Cli) -> Result<(), Exit> {
    let threads = cli.command.threads();
    let runtime = runtime(threads).context("cannot start the runtime")?;
    let lifeline = cli.lifeline;
    let result = runtime.block_on(async {
        let _traces = logging::start(&cli.logging, cli.command.log_default(), cli.command.service())?;
        command(cli.command, lifeline).await
    });
    // A blocked thread (a file, a name server) must not keep an ended command alive.
    runtime.shutdown_background();
    result
}

async fn command(command: Command, lifeline: bool) -> Result<(), Exit> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Collector(args) => serve::collector::run(*args, serve::stop_signal(lifeline)?).await,
        Command::Sidecar(args) => serve::sidecar::run(args, serve::stop_signal(lifeline)?).await,
        Command::App { app } => Ok(bookinfo::cli::run(app, serve::stop_signal(lifeline)?).await?),
        Command::Apply(args) => verbs::apply::run(args).await,
        Command::Get(args) => verbs::get::run(args).await,
        Command::Delete(args) => verbs::delete::run(args).await,
        Command::History(args) => verbs::history::run(args).await,
        Command::Diff(args) => verbs::diff::run(args).await,
        Command::Rollback(args) => verbs::rollback::run(args).await,
        Command::Validate(args) => verbs::validate::run(args).await,
        Command::Graph(args) => verbs::graph::run(args).await,
        Command::Proxies(args) => verbs::proxies::run(args).await,
        Command::Db(args) => verbs::db::run(args).await,
        Command::Completion { shell } => {
            cli::print_completion(shell);
            Ok(())
        }
    }
}

/// `None`: everything on one thread, enough for a client and for a small service.
fn runtime(threads: Option<usize>) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        None => tokio::runtime::Builder::new_current_thread(),
        Some(threads) => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    builder.enable_all().build()
}
