//! What the collector's tests share.
#![allow(dead_code)] // each test program uses its own part

pub mod authority;
pub mod backend;
pub mod envoy;
pub mod grpc;
pub mod place;
pub mod postgres;
pub mod prometheus;
pub mod proxy;
pub mod running;
