//! What was acknowledged is there, exactly once, whatever happens to the collector, its disk or its database.
//!
//! `SIDELIGHT_KILLS` is how often each of the kill tests kills (the default keeps a normal run short),
//! `SIDELIGHT_SEED` repeats a run's random choices; both are printed.
#![allow(clippy::unwrap_used)]

mod client;
mod collector;
mod kills;
mod outages;
#[path = "../../../collector/tests/support/postgres.rs"]
#[allow(dead_code)]
mod postgres;
mod proxy;
mod random;
mod server;
mod verdict;
mod wire;
