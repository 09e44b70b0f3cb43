//! Tests that are too slow for every day: against peers that are slow to build, once, and kept in the target folder; and
//! with outages of minutes.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::programs;
use crate::steps::{Step, execute};
use crate::workspace::{self, cargo};

/// The program of Jaeger that is everything in one.
const JAEGER: &str = "github.com/jaegertracing/jaeger/cmd/all-in-one";

/// What `cargo xtask test --peers` runs; other areas add their steps.
pub fn steps() -> Vec<Step> {
    vec![
        Step::new("jaeger: spans that are exported, and answers to its clients", jaeger_tests),
        Step::new("outages: databases that are away for minutes", minutes_of_outage),
    ]
}

/// How long a database is away: longer than anything that waits by itself.
const OUTAGE_S: &str = "130";

/// The usual tests of these take seconds.
fn minutes_of_outage() -> Result<()> {
    let outages = ["a_database_that_crashes_and_comes_back", "a_disk_that_turns_read_only"];
    let tests = ["--locked", "--package", "sidelight", "--test", "durability", "--", "--nocapture"];
    execute(cargo().arg("test").args(tests).args(outages).env("SIDELIGHT_OUTAGE_S", OUTAGE_S))
}

fn jaeger_tests() -> Result<()> {
    let jaeger = jaeger()?;
    let collector = ["--locked", "--package", "sidelight-collector", "--features", "peers"];
    execute(cargo().args(["clippy"]).args(collector).args(["--tests", "--", "-D", "warnings"]))?;
    execute(
        cargo().args(["test"]).args(collector).args(["--test", "jaeger", "--", "--nocapture"]).env("SIDELIGHT_JAEGER", jaeger),
    )
}

/// Builds Jaeger from its Go module, as pinned in `xtask/jaeger`; a second run finds it built.
fn jaeger() -> Result<PathBuf> {
    programs::require("golang", "building Jaeger", || programs::find("go").is_some())?;
    let pinned = workspace::root().join("xtask/jaeger");
    let versions = fs::read(pinned.join("go.mod")).context("xtask/jaeger/go.mod pins Jaeger's version")?;
    let name = format!("jaeger-{}{}", &blake3::hash(&versions).to_hex()[..12], env::consts::EXE_SUFFIX);
    // Absolute, because Go runs in another folder.
    let program = env::current_dir()?.join(workspace::target()).join("peers").join(name);
    if !program.is_file() {
        println!("    building Jaeger, which takes some minutes the first time");
        execute(
            Command::new("go")
                .current_dir(&pinned)
                .args(["build", "-mod=readonly", "-ldflags=-s -w", "-o"])
                .args([program.as_os_str(), JAEGER.as_ref()])
                // Nothing of it needs a C compiler.
                .env("CGO_ENABLED", "0"),
        )?;
    }
    Ok(program)
}
