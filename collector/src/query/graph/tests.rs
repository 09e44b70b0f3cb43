//! Whole graphs: literal answers for the sample application, and what must hold for every traffic.
#![allow(clippy::unwrap_used)]

mod exact;
mod golden;
mod paths;
mod shapes;
