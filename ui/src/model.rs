//! What the pages know, as plain values with tests that run on the host.

pub mod camera;
pub mod chart;
pub mod codes;
pub mod config;
pub mod diff;
pub mod find;
pub mod focus;
pub mod format;
pub mod geometry;
pub mod layout;
pub mod measure;
pub mod mesh;
pub mod picture;
pub mod route;
pub mod scene;
pub mod traces;
pub mod traffic;
pub mod view;
pub mod waterfall;
