//! What every test stands on: a control plane, applications, a client, and sidecars between them.

pub mod ads;
pub mod app;
pub mod client;
pub mod mesh;
pub mod resources;

use std::time::Duration;

/// Waits for a condition; fails with the text after ten seconds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
