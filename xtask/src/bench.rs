//! Runs the benchmarks of `bench/`, optimised.

use anyhow::Result;

use crate::programs;
use crate::steps::execute;
use crate::workspace;

pub fn run(only: &[String]) -> Result<()> {
    for (package, program) in [("prometheus", "prometheus"), ("victoria-metrics", "victoria-metrics")] {
        programs::require(package, "the collector's benchmark", || programs::find(program).is_some())?;
    }
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
