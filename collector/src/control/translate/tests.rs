//! What proxies are given for a mesh, written down to the letter.
#![allow(clippy::unwrap_used)]

mod bookinfo;
mod chaos;
mod fixture;
mod policies;
mod render;
mod routing;
mod scenarios;
