//! Runs the benchmarks of `bench/`, optimised.

use anyhow::Result;

use crate::steps::execute;
use crate::workspace;

pub fn run(only: &[String]) -> Result<()> {
    execute(workspace::cargo().args([
        "build",
        "--locked",
        "--release",
        "--package",
        "sidelight",
        "--package",
        "sidelight-bench",
    ]))?;
    execute(workspace::cargo().args(["run", "--locked", "--release", "--package", "sidelight-bench", "--"]).args(only))
}
