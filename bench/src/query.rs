//! How long do questions take about what a store holds?

mod traces;

use anyhow::{Context, Result};

pub fn run() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("sidelight-bench-query-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.context("cannot start the load's runtime")?.block_on(traces::measure(&folder));
    // Best effort: a folder left behind in the temporary one harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}
