//! From a fresh clone to the live dashboard: build both halves, then become `sidelight demo`.

use anyhow::Result;

use crate::steps::{announce, execute};
use crate::ui;
use crate::workspace;

pub fn run(flags: &[String]) -> Result<()> {
    ui::run()?;
    announce("sidelight: compile", || {
        execute(workspace::cargo().args(["build", "--locked", "--release", "--package", "sidelight"]))
    })?;
    become_demo(flags)
}

/// Takes this process's place, so that a signal sent to the chore reaches the demo itself.
#[cfg(unix)]
fn become_demo(flags: &[String]) -> Result<()> {
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    let program = workspace::sidelight("release");
    let error = Command::new(&program).arg("demo").args(flags).exec();
    Err(anyhow::Error::new(error).context(format!("cannot start {}", program.display())))
}

#[cfg(not(unix))]
fn become_demo(flags: &[String]) -> Result<()> {
    execute(std::process::Command::new(workspace::sidelight("release")).arg("demo").args(flags))
}
