//! The build chores: `cargo xtask demo | test | ui | bench | dist`.

mod assets;
mod bench;
mod browser_target;
mod demo;
mod dist;
mod npm;
mod peers;
mod postgres;
mod programs;
mod steps;
mod test;
mod ui;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sidelight's build chores", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build everything and start Bookinfo, its sidecars, the collector and the dashboard
    Demo {
        /// Flags of `sidelight demo`: see `cargo xtask demo -- --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<String>,
    },
    /// Check everything: format, lints, licences, unit, integration and browser tests
    Test {
        /// Run only the steps whose name contains one of these words
        only: Vec<String>,
        /// List the steps and stop
        #[arg(long)]
        list: bool,
        /// Run the tests against peers that take minutes to build, such as Jaeger, instead
        #[arg(long)]
        peers: bool,
    },
    /// Build the dashboard into ui/dist
    Ui {
        /// For looking at it while writing it: built in seconds, large, slow, not compressed
        #[arg(long)]
        quick: bool,
    },
    /// Run the benchmarks against peers
    Bench {
        /// Run only the benchmarks whose name contains one of these words
        only: Vec<String>,
    },
    /// Build the release binary with the dashboard inside and pack it into target/dist
    Dist,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Demo { flags } => demo::run(&flags),
        Chore::Test { only, list, peers } => test::run(&only, list, peers),
        Chore::Ui { quick: false } => ui::run(),
        Chore::Ui { quick: true } => ui::run_quick(),
        Chore::Bench { only } => bench::run(&only),
        Chore::Dist => dist::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
