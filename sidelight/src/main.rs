//! The one command: reads the arguments, runs what they ask for, and ends with the contract's exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match sidelight::serve::config_file::parse(&arguments) {
        Ok(cli) => sidelight::run(cli),
        Err(exit) => sidelight::exit::code(Err(exit)),
    }
}
