//! Benchmarks against peers: each runs both sides in turn in one process, and prints ratios.

mod collector;
mod cpu;
mod envoy;
mod process;
mod proxy;
mod query;
mod record;
mod rounds;

use std::process::ExitCode;

type Bench = (&'static str, fn() -> anyhow::Result<()>);

const BENCHES: &[Bench] = &[("record", record::run), ("proxy", proxy::run), ("collector", collector::run), ("query", query::run)];

fn main() -> ExitCode {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<_> =
        BENCHES.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|word| name.contains(word.as_str()))).collect();
    if chosen.is_empty() {
        let names: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
        eprintln!("no benchmark's name contains {only:?}; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    for (name, run) in chosen {
        println!("== {name}");
        if let Err(error) = run() {
            eprintln!("error: {name}: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
