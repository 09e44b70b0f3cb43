//! The translating module: Envoy's protobufs come in here, plain compiled structs go out, and nobody else sees a protobuf.

// Istio and hand-written configurations still send fields that Envoy has deprecated and honours; so do we.
#![allow(deprecated)]

pub mod cluster;
pub mod dump;
pub mod endpoint;
pub mod fault;
mod filters;
pub mod headers;
pub mod http_manager;
pub mod listener;
pub mod matcher;
pub mod node;
pub mod retry;
pub mod route;
pub mod route_action;
mod value;

use thiserror::Error;

/// Why one resource was refused: which object, which field, what to do.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{object}: `{field}`: {reason}")]
pub struct ConfigError {
    /// Kind and name, such as "cluster `outbound|9080||reviews`".
    pub object: String,
    /// The field inside it, in Envoy's spelling.
    pub field: String,
    pub reason: String,
}

impl ConfigError {
    pub fn new(object: impl Into<String>, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { object: object.into(), field: field.into(), reason: reason.into() }
    }
}

/// What a valid resource asks for and this data plane does not do; each is logged once, never refused.
#[derive(Debug, Default)]
pub struct Notes(Vec<String>);

/// Remarks kept from one update; what goes beyond is not worth a log line each.
const NOTES_MAX: usize = 64;

impl Notes {
    pub fn add(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.0.len() < NOTES_MAX && !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    pub fn into_inner(self) -> Vec<String> {
        self.0
    }
}
