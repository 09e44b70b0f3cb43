//! The one command: reads the arguments, runs what they ask for, and ends with the contract's exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    sidelight::run(sidelight::cli::Cli::parse())
}
