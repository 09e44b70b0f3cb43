//! The client of the control plane: one ADS stream, state of the world, with every answer acknowledged or refused.

mod backoff;
mod client;
pub mod kind;
mod subscription;
pub mod world;

pub use client::AdsClient;
pub use kind::Kind;
