//! Runs named steps one after another, says what runs, how long it took and what failed.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A named piece of work.
pub struct Step {
    pub name: &'static str,
    pub work: Box<dyn FnOnce() -> Result<()>>,
}

impl Step {
    pub fn new(name: &'static str, work: impl FnOnce() -> Result<()> + 'static) -> Self {
        Self { name, work: Box::new(work) }
    }
}

/// Runs all steps even when one fails, so that one run shows everything that is wrong; fails when any did.
pub fn run_all(steps: Vec<Step>) -> Result<()> {
    let total = steps.len();
    let mut rows = Vec::new();
    for (index, step) in steps.into_iter().enumerate() {
        println!("\n==> [{}/{total}] {}", index + 1, step.name);
        let started = Instant::now();
        let outcome = (step.work)();
        if let Err(error) = &outcome {
            eprintln!("==> {} failed: {error:#}", step.name);
        }
        rows.push((step.name, started.elapsed(), outcome.is_ok()));
    }
    print_summary(&rows);
    if rows.iter().all(|(_, _, passed)| *passed) { Ok(()) } else { bail!("some steps failed") }
}

/// Announces one step of a chain in which every step needs the one before.
pub fn announce<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let started = Instant::now();
    let value = work().with_context(|| format!("{name} failed"))?;
    println!("    {name}: {}", seconds(started.elapsed()));
    Ok(value)
}

/// Runs a command with its output on the terminal; fails when it cannot be started or does not exit with 0.
pub fn execute(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start `{program}`"))?;
    if status.success() {
        return Ok(());
    }
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    bail!("`{program} {}` ended with {status}", arguments.join(" "))
}

fn print_summary(rows: &[(&str, Duration, bool)]) {
    println!("\nsummary");
    for (name, took, passed) in rows {
        println!("  {} {name:<44} {:>9}", if *passed { "ok    " } else { "FAILED" }, seconds(*took));
    }
    let passed = rows.iter().filter(|(_, _, passed)| *passed).count();
    println!("\nsteps: {passed} passed, {} failed", rows.len() - passed);
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
