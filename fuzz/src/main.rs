//! Gives every parser of the collector changed inputs for some seconds, the same ones in every run, on a stable compiler.
//!
//! `sidelight-fuzz [--seconds N] [--seed N] [WORD …]`. An input that makes a parser panic or takes it longer than a second,
//! each time, is written into `fuzz/corpus/TARGET`, from where it is tried first from then on. For libFuzzer, a target is
//! `fuzz_target!(|bytes: &[u8]| (sidelight_collector::fuzzing::TARGETS[n].run)(bytes))`.

mod mutate;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sidelight_collector::fuzzing::{TARGETS, Target};

use mutate::Mutator;

/// A parser that takes longer for an input of these sizes hangs.
const INPUT_TIME_MAX: Duration = Duration::from_secs(1);
/// An input that is slow once may have found the machine busy.
const TRIES: usize = 3;
/// Inputs that a target is given at most: they end a run on a quick machine.
const INPUTS_MAX: u64 = 2_000_000;

struct Options {
    seconds: u64,
    seed: u64,
    words: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options { seconds: 3, seed: 1, words: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let place = match argument.as_str() {
            "--seconds" => &mut options.seconds,
            "--seed" => &mut options.seed,
            _ => {
                options.words.push(argument);
                continue;
            }
        };
        *place = arguments.next().and_then(|text| text.parse().ok()).with_context(|| format!("{argument} needs a number"))?;
    }
    Ok(options)
}

fn run() -> Result<bool> {
    let options = options()?;
    let is_wanted = |target: &&Target| options.words.is_empty() || options.words.iter().any(|word| target.name.contains(word));
    let mut failed = 0;
    let mut passed = 0;
    for target in TARGETS.iter().filter(is_wanted) {
        match fuzz(target, &options)? {
            Some(path) => {
                eprintln!("{}: failed on {}", target.name, path.display());
                failed += 1;
            }
            None => passed += 1,
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

/// The input that broke it.
fn fuzz(target: &Target, options: &Options) -> Result<Option<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let corpus = corpus(&folder)?;
    let mut tried = 0;
    for input in &corpus {
        tried += 1;
        if !survives(target, input) {
            return keep(&folder, input).map(Some);
        }
    }
    let (mut mutator, started) = (Mutator::new(options.seed), Instant::now());
    while started.elapsed() < Duration::from_secs(options.seconds) && tried < INPUTS_MAX {
        tried += 1;
        let input = mutator.next(&corpus);
        if !survives(target, &input) {
            return keep(&folder, &input).map(Some);
        }
    }
    println!("{:<16} {tried:>8} inputs from {} seeds", target.name, corpus.len());
    Ok(None)
}

/// In the order of their names, so that every run is the same.
fn corpus(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} has no corpus", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).with_context(|| format!("cannot read {}", path.display()))).collect()
}

fn survives(target: &Target, input: &[u8]) -> bool {
    for _ in 0..TRIES {
        let started = Instant::now();
        if catch_unwind(|| (target.run)(input)).is_err() {
            return false;
        }
        if started.elapsed() < INPUT_TIME_MAX {
            return true;
        }
    }
    false
}

fn keep(folder: &Path, input: &[u8]) -> Result<PathBuf> {
    let path = folder.join(format!("found-{:016x}", mutate::hash(input)));
    fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
